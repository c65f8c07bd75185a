// The boxes of a panel as a list, while they are drawn: what stands in each, and what can be done without a pointer.
import {LitElement, classMap, css, html, live, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {MOST_BOXES, addBox, boxesOf, freePlace, nameBox, partnerOf, removeBox, wordless} from '../state/boxes.js';
import {isSlot} from '../state/doc.js';
import {doc, edit} from '../state/studio.js';
import {boxing} from '../state/ui.js';

export class BoxList extends LitElement {
    static properties = {panel: {attribute: false}, index: {type: Number}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Panel} */
        this.panel = late();
        this.index = 0;
        new Watching(this, boxing, doc);
    }

    render() {
        const boxes = boxesOf(this.panel);
        const missing = wordless(doc.value, this.panel);
        return html`<section aria-label=${`Boxes of panel ${this.index + 1}`} @keydown=${this._keys}>
            ${boxes.length ? html`<ol>${boxes.map((box, at) => this._row(box, at, missing.includes(at)))}</ol>` : nothing}
            <p class="quiet small hint">${this._hint(boxes)}</p>
            <div class="row"><button class="button add" ?disabled=${boxes.length >= MOST_BOXES} @click=${this._add}>${icon('plus', 16)}Add a box</button>
                <button class="button done" @click=${this._done}>${icon('check', 16)}Done</button></div></section>`;
    }

    firstUpdated() {
        if (boxing.value?.at === null && !boxing.value.drawn) this.focusWords(null);
    }

    /** @param {import('../state/types.js').Box} box @param {number} at @param {boolean} isMissing */
    _row(box, at, isMissing) {
        const number = at + 1;
        const key = this.panel.key;
        return html`<li class=${classMap({chosen: boxing.value?.at === at})}><span class="number" aria-hidden="true">${number}</span>
            <input class="field" data-at=${at} aria-label=${`What stands in box ${number} of panel ${this.index + 1}`} aria-invalid=${isMissing} placeholder="What stands here?" maxlength="400"
                autocomplete="off" .value=${live(box.words ?? '')} @focus=${() => this._choose(at)}
                @input=${(/** @type {Event} */ event) => edit((now) => nameBox(now, key, at, /** @type {HTMLInputElement} */ (event.target).value), {name: `box words ${key} ${at}`})} />
            <button class="icon" title="Remove this box" aria-label=${`Remove box ${number} of panel ${this.index + 1}`} @click=${() => this._remove(at)}>${icon('trash')}</button></li>`;
    }

    /** @param {import('../state/types.js').Box[]} boxes */
    _hint(boxes) {
        const at = boxing.value?.at;
        const box = at === null || at === undefined ? undefined : boxes[at];
        const partner = box && partnerOf(doc.value, this.panel, box);
        if (box && partner) return isSlot(this.panel) ? `The same thing as in panel ${partner.index + 1}: it moves from there to here.` : `It moves from here to its box in panel ${partner.index + 1}.`;
        if (box && !isSlot(this.panel)) return 'What has a box here and none in a slot goes. Draw one there with the same words, and it moves.';
        if (box?.words) return html`Instructions may call it <code>&lt;${box.name}&gt;</code>.`;
        return isSlot(this.panel) ? 'Drag over the slot to draw a box, and say what belongs there.' : 'Drag over the picture to draw a box, and say what stands there.';
    }

    /** @param {number} at */
    _choose(at) {
        if (boxing.value?.at !== at) boxing.value = {panel: this.panel.key, at};
    }

    /** The words of a box, or where there is none what adds one. @param {number | null} at */
    async focusWords(at) {
        await this.updateComplete;
        const wanted = at === null ? null : this.renderRoot.querySelector(`[data-at="${at}"]`);
        /** @type {HTMLElement} */ (wanted ?? this.renderRoot.querySelector('.add')).focus({preventScroll: at === null});
    }

    _add() {
        const at = boxesOf(this.panel).length;
        edit((now) => addBox(now, this.panel.key, freePlace(this.panel)));
        this._shown(at);
    }

    /** @param {number} at */
    _remove(at) {
        edit((now) => removeBox(now, this.panel.key, at));
        const left = boxesOf(this.panel).length - 1;
        this._shown(left ? Math.min(at, left - 1) : null);
    }

    /** The panel comes from outside, a moment after the change. @param {number | null} at */
    async _shown(at) {
        boxing.value = {panel: this.panel.key, at};
        await new Promise(requestAnimationFrame);
        this.focusWords(at);
    }

    _done() {
        this.dispatchEvent(new CustomEvent('done'));
    }

    /** @param {KeyboardEvent} event */
    _keys(event) {
        if (event.key === 'Enter' && /** @type {HTMLElement} */ (event.target).matches('.field') && !event.ctrlKey && !event.metaKey) this._done();
    }

    static styles = [shared, css`
        :host { display: block; margin: var(--space-2) 0 var(--space-1); }
        section { padding: var(--space-2); border: 1px solid var(--line); border-radius: var(--corner); background: var(--well); }
        ol { display: grid; gap: var(--space-1); max-height: 232px; margin: -4px; padding: 4px; overflow-y: auto; }
        li { display: flex; align-items: center; gap: var(--space-1); }
        .number { flex: none; width: 22px; padding: 2px 0; border-radius: 3px; color: var(--ink-2); font: 600 var(--type-1)/1.4 var(--sans); font-variant-numeric: tabular-nums; text-align: center; }
        .chosen .number { background: var(--pencil); color: var(--on-pencil); }
        .field { flex: 1; min-width: 0; padding: 4px var(--space-2); font: 400 var(--type-3)/1.3 var(--serif); }
        .field:focus-visible { outline-offset: 0; }
        .field[aria-invalid='true']:not(:focus) { border-color: var(--pencil); }
        .hint { margin: var(--space-2) 2px; min-height: 1lh; text-wrap: pretty; }
        code { font: inherit; color: var(--ink); overflow-wrap: anywhere; }
        .row .done { margin-left: auto; }
        @media (hover: none) { .field, .row .button { min-height: 44px; } .field { font-size: 16px; } .icon { width: 44px; height: 44px; } }
    `];
}
customElements.define('box-list', BoxList);
