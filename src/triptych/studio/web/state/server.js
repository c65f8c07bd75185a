// What the server has: backbones, starters, skills, and what the chosen backbone can do with the page.
import {api, items} from './api.js';
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
    if (said.state === 'ready') loadInfo().catch(() => {});
});
on('skill', () => loadSkills().catch(() => {}));

/** @param {Doc} doc @returns {Backbone | null} */
export function backboneOf(doc) {
    const known = info.value;
    if (!known) return null;
    const name = doc.settings.backbone ?? known.default_backbone;
    return known.backbones.find((one) => one.name === name) ?? known.backbones[0] ?? null;
}

/** Where a skill's name is wanted. @param {string} id */
export function skillName(id) {
    return skills.value?.find((one) => one.id === id)?.name ?? id;
}

/**
 * What stands against generating this page, each with the panel it is about; empty where nothing does.
 * @param {Doc} doc
 * @returns {{text: string, panel: string | null, blocks: boolean}[]}
 */
export function hindrances(doc) {
    const found = [];
    const backbone = backboneOf(doc);
    const slots = doc.panels.filter(isSlot);
    const conditions = doc.panels.filter((one) => !isSlot(one));
    if (!slots.length) found.push({text: 'The page has no empty slot to fill. Add one.', panel: null, blocks: true});
    if (!backbone) return found;
    const given = conditions.length + doc.context.filter(isComplete).reduce((sum, page) => sum + page.panels.length, 0);
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
    if (doc.context.some((page) => !isComplete(page))) {
        found.push({text: 'An example with a picture missing is left out until it is complete.', panel: null, blocks: false});
    }
    return found;
}
