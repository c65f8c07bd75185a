// Pictures from outside: dropped, pasted or picked, sent to the server, and looked into for a page of Triptych's.
import {api, words} from './api.js';
import {fillPanel, insertPanels, isSlot, newCondition} from './doc.js';
import {edit, measure, openPage} from './studio.js';
import {go, say, unsay} from './ui.js';

/** The type of a drag that carries a picture of the studio. */
export const PICTURE_TYPE = 'application/x-triptych-picture';
/** The type of a drag that moves a panel. */
export const PANEL_TYPE = 'application/x-triptych-panel';

const OTHERS = /\b(avif|hei[cf]|jxl)\b/i;
/** After so long one wants to know that something goes on. */
const PATIENCE_MS = 400;

/**
 * @param {File} file
 * @returns {Promise<{id: string, width: number, height: number} | null>}
 */
export async function upload(file) {
    let note = 0;
    const slow = setTimeout(() => (note = say(`Reading ${file.name || 'the picture'}`, {stays: true})), PATIENCE_MS);
    try {
        return await sendPicture(file);
    } catch (error) {
        say(`${file.name ? `${file.name}: ` : ''}${words(error)}`, {kind: 'error'});
        return null;
    } finally {
        clearTimeout(slow);
        unsay(note);
    }
}

/** What the server does not read the browser may: AVIF in most, HEIC in Safari. @param {File} file */
async function sendPicture(file) {
    try {
        return await api.send('/api/files', file);
    } catch (error) {
        const drawn = OTHERS.test(`${file.type} ${file.name}`) ? await redrawn(file) : null;
        if (!drawn) throw error;
        return api.send('/api/files', drawn);
    }
}

/** The picture as a PNG, upright; null where the browser cannot read it either. @param {Blob} file */
async function redrawn(file) {
    try {
        const image = await createImageBitmap(file);
        const canvas = new OffscreenCanvas(image.width, image.height);
        canvas.getContext('2d')?.drawImage(image, 0, 0);
        return await canvas.convertToBlob({type: 'image/png'});
    } catch {
        return null;
    }
}

/** Files that may be pictures: the server looks inside those whose type nobody knows. @param {DataTransfer | null} transfer */
export function picturesIn(transfer) {
    const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.());
    const folders = new Set(entries.filter((entry) => entry?.isDirectory).map((entry) => entry?.name));
    return [...(transfer?.files ?? [])].filter((file) => (file.type === '' || file.type.startsWith('image/')) && !folders.has(file.name));
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
        say('That holds no picture. Drop a PNG, JPEG, WebP, AVIF, GIF or TIFF file.', {kind: 'error'});
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
