// Every command of the studio by name: the palette lists them, keys call them, buttons share their code.
import {takesBoxes} from './boxes.js';
import {changePanel, continueStory, emptyDoc, exampleLike, insertPanels, isSlot, keepPanel, movePanel, newSeed, newSlot, releasePanel, removePanel} from './doc.js';
import {picked} from './gallery.js';
import {bring, openFrom, pick} from './files.js';
import {cancelAll, generate, markMade, reroll} from './jobs.js';
import {backboneOf, info, starters} from './server.js';
import {doc, edit, measure, openNew, openPage, redo, undo} from './studio.js';
import {boxing, dialog, focusedPanel, go, isDark, isQueueOpen, isTrayOpen, setTheme} from './ui.js';

/** @typedef {{id: string, label: string, group: string, key?: string, icon?: string, run: () => any, needs?: () => boolean}} Command */

/** @param {string} key @param {number} by */
export function moveBy(key, by) {
    const at = doc.value.panels.findIndex((one) => one.key === key);
    edit((now) => movePanel(now, key, at + by));
}

function focused() {
    return doc.value.panels.find((one) => one.key === focusedPanel.value) ?? null;
}
const hasPanel = () => focused() !== null;
const setting = (/** @type {Partial<import('./types.js').Settings>} */ some) => edit((now) => ({...now, settings: {...now.settings, ...some}}), {name: Object.keys(some).join()});

/** @param {Partial<import('./types.js').Settings>} some */
export function set(some) {
    setting(some);
}

export async function addPictures() {
    const files = await pick();
    if (files.length) await bring(files);
}

export function addSlot() {
    edit((now) => insertPanels(now, [newSlot()]));
}

export function addExample() {
    edit((now) => ({...now, context: [...now.context, exampleLike(now)]}));
}

/** @param {import('./types.js').Starter} starter */
export async function start(starter) {
    openPage(starter.page);
    await measure();
    go('page');
}

/** Keeps a slot's picture or lets it go; by itself no reason to make the other slots again. @param {string} key */
export function toggleKeep(key) {
    const panel = doc.value.panels.find((one) => one.key === key);
    if (!panel) return;
    if (!panel.kept) picked(panel.variants[panel.chosen]?.picture);
    edit((now) => (panel.kept ? releasePanel(now, key) : keepPanel(now, key)));
    markMade();
}

/** Begins to draw boxes on a panel, or ends it. @param {string} key @param {number | null} [at] */
export function toggleBoxes(key, at = null) {
    boxing.value = boxing.value?.panel === key ? null : {panel: key, at};
}

/** @param {number} by */
function otherVariant(by) {
    const panel = focused();
    if (!panel || panel.variants.length < 2) return;
    const count = panel.variants.length;
    edit((now) => changePanel(now, panel.key, {chosen: (panel.chosen + by + count) % count}), {name: `choose ${panel.key}`});
}

/** @returns {Command[]} */
export function commands() {
    /** @type {Command[]} */
    const list = [
        {id: 'generate', label: 'Generate', group: 'Page', key: 'mod+enter', icon: 'next', run: () => generate()},
        {id: 'generate-new', label: 'Generate with a new seed', group: 'Page', key: 'mod+shift+enter', icon: 'dice', run: () => { const seed = newSeed(); setting({seed}); return generate({seed}); }},
        {id: 'reroll', label: 'Make this slot again', group: 'Panel', key: 'alt+r', icon: 'again', needs: () => Boolean(focused() && isSlot(/** @type {any} */ (focused()))), run: () => reroll(/** @type {string} */ (focusedPanel.value))},
        {id: 'keep', label: 'Keep this slot, or let it go', group: 'Panel', key: 'alt+k', icon: 'pin', needs: hasPanel, run: () => toggleKeep(/** @type {string} */ (focusedPanel.value))},
        {id: 'boxes', label: 'Draw boxes on this panel, or end it', group: 'Panel', key: 'alt+b', icon: 'boxes', needs: () => Boolean(focused() && takesBoxes(/** @type {any} */ (focused()), backboneOf(doc.value))), run: () => toggleBoxes(/** @type {string} */ (focusedPanel.value))},
        {id: 'next-variant', label: 'Next picture of this slot', group: 'Panel', key: 'alt+arrowdown', icon: 'down', needs: hasPanel, run: () => otherVariant(1)},
        {id: 'previous-variant', label: 'Previous picture of this slot', group: 'Panel', key: 'alt+arrowup', icon: 'up', needs: hasPanel, run: () => otherVariant(-1)},
        {id: 'move-back', label: 'Move this panel back', group: 'Panel', key: 'alt+arrowleft', icon: 'left', needs: hasPanel, run: () => moveBy(/** @type {string} */ (focusedPanel.value), -1)},
        {id: 'move-on', label: 'Move this panel on', group: 'Panel', key: 'alt+arrowright', icon: 'right', needs: hasPanel, run: () => moveBy(/** @type {string} */ (focusedPanel.value), 1)},
        {id: 'remove', label: 'Remove this panel', group: 'Panel', key: 'alt+backspace', icon: 'trash', needs: hasPanel, run: () => edit((now) => removePanel(now, /** @type {string} */ (focusedPanel.value)))},
        {id: 'continue', label: 'Continue the story', group: 'Page', key: 'alt+c', icon: 'arrow', run: () => edit((now) => continueStory(now))},
        {id: 'add-slot', label: 'Add a slot', group: 'Page', key: 'alt+n', icon: 'slot', run: addSlot},
        {id: 'add-pictures', label: 'Add pictures', group: 'Page', key: 'alt+p', icon: 'picture', run: addPictures},
        {id: 'tray', label: 'Show pictures made before', group: 'Page', key: 'alt+g', icon: 'grid', run: () => { go('page'); isTrayOpen.value = !isTrayOpen.value; }},
        {id: 'add-example', label: 'Add an example row', group: 'Page', key: 'alt+e', icon: 'stack', run: addExample},
        {id: 'undo', label: 'Undo', group: 'Page', key: 'mod+z', icon: 'undo', run: undo},
        {id: 'redo', label: 'Redo', group: 'Page', key: 'mod+shift+z', icon: 'redo', run: redo},
        {id: 'seed', label: 'New seed', group: 'Page', key: 'alt+s', icon: 'dice', run: () => setting({seed: newSeed()})},
        {id: 'live', label: doc.value.settings.live ? 'Stop making pictures while I type' : 'Make pictures while I type', group: 'Page', key: 'alt+l', icon: 'live', run: () => setting({live: !doc.value.settings.live})},
        {id: 'new', label: 'New page', group: 'Page', icon: 'plus', run: () => { openNew({...emptyDoc(), settings: {...emptyDoc().settings, backbone: doc.value.settings.backbone}}); go('page'); }},
        {id: 'starters', label: 'Pages to start from', group: 'Page', key: 'alt+o', icon: 'stack', run: () => (dialog.value = {name: 'starters'})},
        {id: 'documents', label: 'Open a page of before', group: 'Page', icon: 'stack', run: () => (dialog.value = {name: 'documents'})},
        {id: 'recall', label: 'Open the page of a PNG', group: 'Page', icon: 'picture', run: async () => { const [file] = await pick({many: false, accept: 'image/png'}); if (file) await openFrom(file); }},
        {id: 'teach', label: 'Teach a skill from pages', group: 'Skills', icon: 'teach', run: () => { go('skills'); dialog.value = {name: 'teach'}; }},
        {id: 'queue', label: 'Show the queue', group: 'Studio', key: 'alt+q', icon: 'queue', run: () => (isQueueOpen.value = !isQueueOpen.value)},
        {id: 'cancel-all', label: 'Cancel everything that runs or waits', group: 'Studio', icon: 'close', run: cancelAll},
        {id: 'theme', label: 'Light or dark', group: 'Studio', icon: 'sun', run: () => setTheme(isDark() ? 'light' : 'dark')},
        ...[['page', 'Go to the page', '1'], ['gallery', 'Go to the gallery', '2'], ['skills', 'Go to the skills', '3'], ['rules', 'Go to the rules lab', '4']]
            .map(([name, label, key]) => ({id: `go-${name}`, label, group: 'Studio', key: `alt+${key}`, icon: 'arrow', run: () => go(name)})),
    ];
    for (const starter of starters.value) list.push({id: `start-${starter.id}`, label: `Start: ${starter.title}`, group: 'Start', icon: 'stack', run: () => start(starter)});
    for (const layout of ['auto', 'row', 'column', 'grid']) list.push({id: `layout-${layout}`, label: `Layout: ${layout}`, group: 'Layout', icon: 'settings', run: () => edit((now) => ({...now, layout}))});
    for (const one of info.value?.backbones ?? []) list.push({id: `backbone-${one.name}`, label: `Use ${one.name}`, group: 'Model', icon: 'settings', run: () => setting({backbone: one.name, size: null, steps: null, reading: null})});
    return list;
}

const IS_MAC = /Mac|iP(hone|ad)/.test(navigator.platform);

/** A key as it is shown. @param {string} key */
export function keyName(key) {
    const names = IS_MAC ? {mod: '⌘', shift: '⇧', alt: '⌥'} : {mod: 'Ctrl', shift: 'Shift', alt: 'Alt'};
    const others = {enter: '↵', arrowleft: '←', arrowright: '→', arrowup: '↑', arrowdown: '↓', backspace: '⌫'};
    return key.split('+').map((part) => /** @type {any} */ ({...names, ...others})[part] ?? part.toUpperCase()).join(IS_MAC ? '' : ' ');
}

/** @param {KeyboardEvent} event */
function pressed(event) {
    const mod = event.metaKey || event.ctrlKey;
    const letter = /^(Key|Digit)(.)$/.exec(event.code)?.[2].toLowerCase();
    const name = event.altKey && letter ? letter : event.key.toLowerCase();
    return [mod ? 'mod' : '', event.shiftKey ? 'shift' : '', event.altKey ? 'alt' : '', name].filter(Boolean).join('+');
}

export function followKeys() {
    addEventListener('keydown', (event) => {
        const key = pressed(event);
        if (key === 'mod+k' || key === 'mod+shift+p') {
            event.preventDefault();
            dialog.value = dialog.value?.name === 'palette' ? null : {name: 'palette'};
            return;
        }
        if (dialog.value || !/^(mod|alt)\+/.test(key)) return;
        const command = commands().find((one) => one.key === (key === 'mod+y' ? 'mod+shift+z' : key));
        if (!command || command.needs?.() === false) return;
        event.preventDefault();
        command.run();
    });
}
