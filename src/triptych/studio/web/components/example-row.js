// An example page: a finished row that shows the task; each picture dropped or picked.
import {LitElement, css, html, live, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {fileAddress} from '../state/api.js';
import {carriesPicture, pick, picturesIn, studioPicture, upload} from '../state/files.js';
import {MAX_LETTERS} from '../state/doc.js';
import {edit} from '../state/studio.js';

export class ExampleRow extends LitElement {
    static properties = {example: {attribute: false}, index: {type: Number}};

    constructor() {
        super();
        /** @type {import('../state/types.js').ExamplePage} */
        this.example = late();
        this.index = 0;
    }

    render() {
        const number = this.index + 1;
        return html`<section aria-label=${`Example ${number}`}>
            <span class="name">Example ${number}</span>
            <div class="pictures">${this.example.panels.map((panel, at) => html`
                ${at && panel.role === 'slot' && this.example.panels[at - 1].role !== 'slot' ? html`<span class="arrow">${icon('arrow')}</span>` : nothing}
                <figure>
                    <button aria-label=${`Example ${number}, ${panel.role === 'slot' ? 'after' : 'before'}, panel ${at + 1}: put a picture here`} @click=${() => this._pick(at)}
                        @dragover=${this._over} @drop=${(/** @type {DragEvent} */ event) => this._drop(event, at)}>
                        ${panel.picture ? html`<img src=${fileAddress(panel.picture, 256)} alt=${panel.instruction || ''} />` : html`<span>${icon('plus')}<small>${panel.role === 'slot' ? 'after' : 'before'}</small></span>`}
                    </button>
                    ${panel.role === 'slot' ? html`<input aria-label=${`Words of example ${number}`} title=${panel.instruction} placeholder="words, if any" maxlength=${MAX_LETTERS} .value=${live(panel.instruction)}
                        @input=${(/** @type {Event} */ event) => this._change(at, {instruction: /** @type {HTMLInputElement} */ (event.target).value})} />` : nothing}
                </figure>`)}</div>
            <button class="icon" aria-label=${`Remove example ${number}`} title="Remove this example" @click=${this._remove}>${icon('close', 16)}</button>
        </section>`;
    }

    /** @param {number} at @param {Partial<import('../state/types.js').ExamplePanel>} some */
    _change(at, some) {
        const key = this.example.key;
        edit((now) => ({
            ...now,
            context: now.context.map((one) => (one.key === key ? {...one, panels: one.panels.map((panel, index) => (index === at ? {...panel, ...some} : panel))} : one)),
        }), {name: some.instruction === undefined ? '' : `example ${key} ${at}`});
    }

    _remove() {
        edit((now) => ({...now, context: now.context.filter((one) => one.key !== this.example.key)}));
    }

    /** @param {File[]} files @param {number} at */
    async _bring(files, at) {
        const found = (await Promise.all(files.slice(0, this.example.panels.length - at).map(upload))).filter((one) => one !== null);
        found.forEach((file, number) => this._change(at + number, {picture: file.id, width: file.width, height: file.height}));
    }

    /** @param {number} at */
    async _pick(at) {
        const files = await pick();
        if (files.length) await this._bring(files, at);
    }

    /** @param {DragEvent} event */
    _over(event) {
        if (!carriesPicture(event.dataTransfer)) return;
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {DragEvent} event @param {number} at */
    _drop(event, at) {
        event.preventDefault();
        event.stopPropagation();
        const own = studioPicture(event.dataTransfer);
        if (own) this._change(at, {picture: own.id, width: own.width, height: own.height});
        else this._bring(picturesIn(event.dataTransfer), at);
    }

    static styles = [shared, css`
        :host { display: block; container-type: inline-size; }
        section { display: flex; align-items: center; gap: var(--space-4); }
        .name { flex: none; width: 76px; font: italic 400 var(--type-3)/1.2 var(--serif); color: var(--ink-3); }
        .pictures { display: flex; flex: 1; gap: var(--space-3); align-items: flex-start; overflow-x: auto; padding: 3px; }
        .arrow { align-self: flex-start; margin-top: 35px; color: var(--ink-3); }
        figure { width: 92px; flex: none; }
        figure button { display: grid; place-items: center; width: 92px; height: 92px; padding: 0; border: 0; border-radius: var(--corner-picture); background: var(--well); overflow: hidden; cursor: pointer; color: var(--ink-3); }
        figure button:not(:has(img)) { border: 1.5px dashed var(--line-strong); background: transparent; }
        figure button:hover { box-shadow: 0 0 0 1.5px var(--pencil); }
        figure button span { display: grid; justify-items: center; }
        img { width: 100%; height: 100%; object-fit: cover; }
        input { width: 100%; margin-top: var(--space-1); padding: 2px 0; border: 0; background: transparent; font: 400 var(--type-2)/1.3 var(--serif); text-overflow: ellipsis; }
        input::placeholder { color: var(--ink-3); font-style: italic; opacity: 1; }
        input:focus { outline: 0; box-shadow: 0 1.5px 0 var(--pencil); }
        @container (max-width: 370px) { .name { display: none; } section, .pictures { gap: var(--space-2); } }
        @media (max-width: 640px) { figure, figure button { width: 76px; } figure button { height: 76px; } .arrow { margin-top: 28px; } }
    `];
}
customElements.define('example-row', ExampleRow);
