// What the server has: backbones, starters, skills, and what the chosen backbone can do with the page.
import {api, items} from './api.js';
import {aboutBoxes} from './boxes.js';
import {isComplete, isSlot} from './doc.js';
import {on, worker} from './events.js';
import {signal} from './signal.js';

/** @typedef {import('./types.js').Doc} Doc */
/** @typedef {import('./types.js').Backbone} Backbone */

export const info = signal(/** @type {import('./types.js').Info | null} */ (null));
export const starters = signal(/** @type {import('./types.js').Starter[]} */ ([]));
export const skills = signal(/** @type {import('./types.js').Skill[] | null} */ (null));
export const rules = signal(/** @type {import('./types.js').Rule[] | null} */ (null));

export async function loadInfo() {
    info.value = await api.get('/api/info');
    worker.value = {state: info.value?.worker ?? 'ready'};
}

export async function loadStarters() {
    starters.value = items(await api.get('/api/starters'));
}

export async function loadSkills() {
    skills.value = items(await api.get('/api/skills'));
}

export async function loadRules() {
    rules.value = items(await api.get('/api/rules'));
}

/** What backbones can do is known once the worker stands. */
on('worker', (said) => {
    if (said.state === 'ready') Promise.all([loadInfo(), loadSkills()]).catch(() => {});
});
on('skill', () => loadSkills().catch(() => {}));

/** @param {Doc} doc @returns {Backbone | null} */
export function backboneOf(doc) {
    const known = info.value;
    if (!known) return null;
    const name = doc.settings.backbone ?? known.default_backbone;
    return known.backbones.find((one) => one.name === name || one.checkpoint === name) ?? known.backbones[0] ?? null;
}

/** Whether a skill of this backbone fits; one that names none fits all. @param {string} skill @param {Backbone | null} backbone */
export function fits(skill, backbone) {
    return !skill || !backbone || skill === backbone.name || skill === backbone.checkpoint;
}

/** What a backbone makes of words, in words. @param {Backbone} backbone */
export function reads(backbone) {
    if (!backbone.follows_words) return 'reads no words';
    return backbone.words === 'plain' ? 'reads short, plain words' : 'reads whole sentences';
}

/** About how many words fit where a model counts pieces of words. @param {number} tokens */
const wordsIn = (tokens) => Math.floor(tokens / 1.4 / 5) * 5;

/** About how many words one panel may have; 0 where only the whole page counts. @param {Backbone} backbone */
export function mostWords(backbone) {
    return backbone.words === 'plain' && backbone.max_text_tokens ? wordsIn(backbone.max_text_tokens) : 0;
}

/** Where a skill's name is wanted. @param {string} id */
export function skillName(id) {
    return skills.value?.find((one) => one.id === id)?.name ?? id;
}

/**
 * What may be tried, but is known to go less well.
 * @param {Doc} doc @param {Backbone} backbone @param {number} given How many pictures it sees.
 */
function advice(doc, backbone, given) {
    const found = [];
    const {trained_conditions: trained, name} = backbone;
    if (trained && given > trained && given <= backbone.max_conditions) {
        found.push({text: `${name} was trained with up to ${trained} ${trained === 1 ? 'picture' : 'pictures'}; the page has ${given}. It may lose sight of some.`, panel: null, blocks: false});
    }
    const all = [doc.overview, ...doc.panels.map((panel) => panel.instruction)];
    if (!backbone.follows_words && all.some(Boolean)) {
        found.push({text: `${name} reads no words: only the pictures count.`, panel: null, blocks: false});
    }
    const most = mostWords(backbone);
    all.forEach((text, number) => {
        const count = text.split(/\s+/).filter(Boolean).length;
        if (most && count > most) found.push({text: `${number ? `Panel ${number}` : 'The overview'} has ${count} words; ${name} reads about ${most} in one place. Say it in fewer.`, panel: number ? doc.panels[number - 1].key : null, blocks: false});
    });
    return found;
}

/** How many pictures the page gives, those of whole examples included. @param {Doc} doc */
export function givenIn(doc) {
    return doc.panels.filter((one) => !isSlot(one)).length + doc.context.filter(isComplete).reduce((sum, page) => sum + page.panels.length, 0);
}

/**
 * What stands against generating this page, each with the panel it is about; empty where nothing does.
 * @param {Doc} doc
 * @returns {import('./types.js').Hindrance[]}
 */
export function hindrances(doc) {
    /** @type {import('./types.js').Hindrance[]} */
    const found = [];
    const backbone = backboneOf(doc);
    const slots = doc.panels.filter(isSlot);
    const conditions = doc.panels.filter((one) => !isSlot(one));
    if (!slots.length) found.push({text: 'The page has no empty slot to fill. Add one.', panel: null, blocks: true});
    if (!backbone) return found;
    const given = givenIn(doc);
    if (given > backbone.max_conditions) {
        found.push({
            text: `${backbone.name} takes ${backbone.max_conditions} pictures at most, examples included; the page has ${given}. Remove ${given - backbone.max_conditions}.`,
            panel: null, blocks: true,
        });
    }
    if (slots.length > backbone.max_slots) {
        found.push({text: `${backbone.name} fills ${backbone.max_slots} slots at most; the page has ${slots.length}.`, panel: null, blocks: true});
    }
    for (const panel of conditions) {
        if (backbone.roles?.length && !backbone.roles.includes(panel.role)) {
            found.push({text: `${backbone.name} does not know the role "${panel.role}". It knows ${backbone.roles.join(', ')}.`, panel: panel.key, blocks: true});
        }
    }
    found.push(...aboutBoxes(doc, backbone, info.value?.backbones ?? []), ...advice(doc, backbone, given));
    if (doc.context.some((page) => !isComplete(page))) {
        found.push({text: 'An example with a picture missing is left out until it is complete.', panel: null, blocks: false});
    }
    return found;
}
