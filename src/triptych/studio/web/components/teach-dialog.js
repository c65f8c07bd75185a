// Ten pages to a skill: gather them, have them looked over, teach.
import {LitElement, css, html, live, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {fileAddress} from '../state/api.js';
import {pick} from '../state/files.js';
import {backboneOf, info} from '../state/server.js';
import {addDropped, addFolders, addPages, addPairs, change, lesson, pagesHere, preflight, teach} from '../state/teach.js';
import {doc} from '../state/studio.js';
import {dialog, say} from '../state/ui.js';
import {duration} from './queue-drawer.js';
import '../ui/modal.js';

export class TeachDialog extends LitElement {
    constructor() {
        super();
        new Watching(this, lesson, doc, info);
    }

    render() {
        const {name, pages, steps, findings, estimate, busy, error} = lesson.value;
        const here = pagesHere();
        const blocked = findings?.some((one) => one.level === 'error');
        const ready = pages.length > 0 && name.trim() && findings && !blocked && !busy;
        return html`<modal-box wide heading="Teach a skill"><div class="all" @dragover=${(/** @type {Event} */ event) => event.preventDefault()} @drop=${this._drop}>
            <div class="fields"><label>Name <input class="field" autofocus maxlength="80" placeholder="What it does, such as: Ink outlines" .value=${live(name)} @input=${(/** @type {Event} */ event) => change({name: /** @type {HTMLInputElement} */ (event.target).value})} /></label>
                <label>Steps <input class="field" type="number" min="1" max="100000" placeholder="As many as it needs" .value=${live(steps ? String(steps) : '')} @input=${(/** @type {Event} */ event) => change({steps: Number(/** @type {HTMLInputElement} */ (event.target).value) || null, estimate: null})} /></label></div>
            <div><div class="row spread"><span class="label">Pages, about ten of the same task</span><span class="quiet">${pages.length} of 10</span></div>
                <ul class="pages">${pages.map((page, index) => html`<li>${page.panels.map((panel) => html`<img src=${fileAddress(panel.image ?? panel.answer ?? null, 128)} alt=${panel.instruction || (panel.answer ? 'after' : 'before')} />`)}
                    <button class="icon" aria-label=${`Remove page ${index + 1}`} @click=${() => change({pages: pages.filter((_, other) => other !== index), findings: null})}>${icon('close', 14)}</button></li>`)}
                    ${pages.length ? nothing : html`<li class="drop">Drop two folders here, before and after, or add pairs below.</li>`}</ul>
                <div class="row"><button class="button" @click=${this._pair}>${icon('plus', 16)}Add pairs</button><button class="button" @click=${this._folders}>${icon('stack', 16)}Two folders</button>
                    <button class="button" ?disabled=${!here.length} title=${here.length ? '' : 'The page has no finished example row'} @click=${() => addPages(here)}>${icon('arrow', 16)}From the page (${here.length})</button>
                    ${pages.length ? html`<button class="button plain" @click=${() => change({pages: [], findings: null})}>Remove all</button>` : nothing}</div></div>
            ${error ? html`<p class="problem" role="alert">${icon('warning', 16)}<span>${error}</span></p>` : nothing}
            ${findings ? html`<div role="status"><span class="label">Looked over</span><ul class="findings">${findings.map((one) => html`<li class=${`is-${one.level}`}>${one.text}</li>`)}${findings.length ? nothing : html`<li>Nothing to say against them.</li>`}</ul>
                ${estimate ? html`<p class="quiet">About ${duration(estimate.seconds)} on ${backboneOf(doc.value)?.name}${estimate.memory_gib ? `, ${estimate.memory_gib.toFixed(1)} GiB of memory` : ''}.</p>` : nothing}</div>` : nothing}
            <div class="row end"><span class="quiet" role="status">${busy || (!name.trim() && pages.length ? 'Give it a name.' : '')}</span>
                <button class="button" ?disabled=${!pages.length || Boolean(busy)} @click=${preflight}>Look them over</button>
                <button class="button main" ?disabled=${!ready} @click=${this._teach}>Teach</button></div>
        </div></modal-box>`;
    }

    async _teach() {
        if ((await teach()) && dialog.value?.name === 'teach') dialog.value = null;
    }

    async _pair() {
        const files = await pick();
        if (files.length % 2) say('Pairs need an even number of pictures: before, after, before, after.', {kind: 'error'});
        else await addPairs(Array.from({length: files.length / 2}, (_, index) => [files[2 * index], files[2 * index + 1]]));
    }

    async _folders() {
        say('First the folder of pictures before.');
        const before = await pick({folder: true});
        if (!before.length) return;
        say('Now the folder of pictures after.');
        await addFolders(before, await pick({folder: true}));
    }

    /** @param {DragEvent} event */
    async _drop(event) {
        event.preventDefault();
        event.stopPropagation();
        if (event.dataTransfer) await addDropped(event.dataTransfer);
    }

    static styles = [shared, css`
        .all { display: grid; gap: var(--space-4); }
        .fields { display: grid; grid-template-columns: 1fr 200px; gap: var(--space-3); }
        @media (max-width: 640px) { .fields { grid-template-columns: 1fr; } }
        label { display: grid; gap: var(--space-1); }
        .pages { display: grid; grid-template-columns: repeat(auto-fill, minmax(176px, 1fr)); gap: var(--space-2); margin: var(--space-2) 0; max-height: 34dvh; overflow-y: auto; }
        .pages li { position: relative; display: flex; gap: 2px; min-height: 60px; padding: var(--space-1); background: var(--well); border-radius: var(--corner-picture); overflow: hidden; }
        .pages img { flex: 1; min-width: 0; max-width: 80px; aspect-ratio: 1; object-fit: cover; }
        .pages .icon { position: absolute; top: 4px; right: 4px; width: 24px; height: 24px; background: var(--raised); }
        .pages .icon:hover:not(:disabled) { background: color-mix(in oklab, var(--ink) 8%, var(--raised)); }
        .drop { grid-column: 1 / -1; display: grid !important; place-items: center; min-height: 110px !important; border: 1.5px dashed var(--line-strong); background: transparent !important; font: italic 400 var(--type-4)/1.3 var(--serif); color: var(--ink-2); text-align: center; }
        .findings { display: grid; gap: var(--space-1); margin: var(--space-1) 0; font-size: var(--type-2); }
        .findings li { padding-left: var(--space-3); border-left: 3px solid var(--line-strong); }
        .findings .is-warning { border-color: var(--warn); }
        .findings .is-error { border-color: var(--pencil); }
        .end { justify-content: flex-end; }
        .end .quiet { flex: 1; }
    `];
}
customElements.define('teach-dialog', TeachDialog);
