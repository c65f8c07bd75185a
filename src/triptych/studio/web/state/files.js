// Pictures from outside: dropped, pasted or picked, sent to the server, and looked into for a page of Triptych's.
import {api, words} from './api.js';
import {fillPanel, insertPanels, isSlot, newCondition} from './doc.js';
import {edit, measure, openPage} from './studio.js';
import {go, say} from './ui.js';

/** The type of a drag that carries a picture of the studio. */
export const PICTURE_TYPE = 'application/x-triptych-picture';
/** The type of a drag that moves a panel. */
export const PANEL_TYPE = 'application/x-triptych-panel';

/**
 * @param {Blob} file
 * @returns {Promise<{id: string, width: number, height: number} | null>}
 */
export async function upload(file) {
    try {
        return await api.send('/api/files', file);
    } catch (error) {
        const name = file instanceof File ? `${file.name}: ` : '';
        say(`${name}${words(error)}`, {kind: 'error'});
        return null;
    }
}

/** @param {DataTransfer | null} transfer */
export function picturesIn(transfer) {
    return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith('image/') || /\.(avif|hei[cf]|tiff?|jxl)$/i.test(file.name));
}

/** @param {DataTransfer | null} transfer */
export function carriesPicture(transfer) {
    const types = [...(transfer?.types ?? [])];
    return types.includes('Files') || types.includes(PICTURE_TYPE);
}

/** @param {DataTransfer | null} transfer @returns {{id: string, width: number, height: number} | null} */
export function studioPicture(transfer) {
    const text = transfer?.getData(PICTURE_TYPE);
    return text ? JSON.parse(text) : null;
}

/**
 * Pictures into the page: into panel `key` first where one is named, the rest as panels at `at`.
 * @param {DataTransfer | File[]} source
 * @param {{key?: string | null, at?: number}} [where]
 */
export async function bring(source, {key = null, at} = {}) {
    const own = source instanceof DataTransfer ? studioPicture(source) : null;
    const files = source instanceof DataTransfer ? picturesIn(source) : source;
    if (!own && !files.length) {
        say('That holds no picture. Drop a PNG, JPEG, WebP, GIF, AVIF or TIFF file.', {kind: 'error'});
        return;
    }
    const found = own ? [own] : (await Promise.all(files.map(upload))).filter((one) => one !== null);
    if (!found.length) return;
    edit((doc) => {
        let next = doc;
        let rest = found;
        const index = doc.panels.findIndex((panel) => panel.key === key);
        if (key && index >= 0) {
            next = fillPanel(next, key, found[0]);
            rest = found.slice(1);
        }
        const place = at ?? (index >= 0 ? index + 1 : firstSlot(doc.panels));
        return rest.length ? insertPanels(next, rest.map((one) => newCondition(one)), place) : next;
    });
    if (!own) for (const file of files) lookInside(file);
}

/** @param {import('./types.js').Panel[]} panels */
function firstSlot(panels) {
    const index = panels.findIndex(isSlot);
    return index < 0 ? panels.length : index;
}

/** A PNG made by Triptych carries its page; offer it. @param {File} file */
async function lookInside(file) {
    if (!(await isOurs(file))) return;
    say('This picture was made by Triptych and carries its page.', {
        actions: [{label: 'Open its page', run: () => openFrom(file)}],
    });
}

/** @param {Blob} file */
async function isOurs(file) {
    if (file.type !== 'image/png') return false;
    const text = new TextDecoder('latin1').decode(await file.slice(0, 4096).arrayBuffer());
    if (/(iTXt|zTXt|tEXt)triptych\0/.test(text)) return true;
    const end = new TextDecoder('latin1').decode(await file.slice(-(2 ** 20)).arrayBuffer());
    return /(iTXt|zTXt|tEXt)triptych\0/.test(end);
}

/** Opens the page that a PNG was made from. @param {Blob} file */
export async function openFrom(file) {
    try {
        const found = await api.send('/api/recall', file);
        openPage(found.page, found.request);
        await measure();
        go('page');
        say('Its page is back, with its seed and settings.');
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

/** Asks for files. @param {{many?: boolean, folder?: boolean, accept?: string}} [how] @returns {Promise<File[]>} */
export function pick({many = true, folder = false, accept = 'image/*'} = {}) {
    return new Promise((resolve) => {
        const input = document.createElement('input');
        input.type = 'file';
        input.accept = accept;
        input.multiple = many;
        input.hidden = true;
        if (folder) input.setAttribute('webkitdirectory', '');
        input.addEventListener('change', () => { resolve([...(input.files ?? [])]); input.remove(); });
        input.addEventListener('cancel', () => { resolve([]); input.remove(); });
        // In the document, so that assistive tools and tests see it.
        document.body.append(input);
        input.click();
    });
}
