// The rules lab's work: page sets built, backbones and skills evaluated.
import {api, words} from './api.js';
import {backboneOf} from './server.js';
import {doc} from './studio.js';
import {say} from './ui.js';

/** Pages that an evaluation asks. */
const ASKED = 8;
/** Pages of a set. */
const BUILT = 100;

/** @param {string} kind @param {any} body @param {string} said */
async function send(kind, body, said) {
    try {
        await api.post('/api/jobs', {kind, lane: 'batch', replaces: null, document: null, body});
        say(said);
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

/** @param {string} rule @param {number} seed */
export function build(rule, seed) {
    return send('build', {rule, count: BUILT, seed}, 'The set is being built. It comes up below.');
}

/** @param {{rule?: string, page_set?: string}} on @param {string | null} skill */
export function evaluate(on, skill) {
    const body = {backbone: backboneOf(doc.value)?.name, skills: skill ? [{id: skill}] : [], count: ASKED, ...on};
    return send('evaluate', body, 'Measuring. The report comes up below.');
}
