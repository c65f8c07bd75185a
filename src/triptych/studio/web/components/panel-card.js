// One panel of the page: its picture or its empty slot, the words under it, and what can be done with it.
import {LitElement, classMap, css, html, live, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {boxesOf, takesBoxes} from '../state/boxes.js';
import {MAX_LETTERS, answer, changePanel, emptyPanel, isSlot, removePanel, shown} from '../state/doc.js';
import {fileAddress} from '../state/api.js';
import {PANEL_TYPE, PICTURE_TYPE, bring, carriesPicture, pick} from '../state/files.js';
import {isAwaited, jobs, previews, reroll, trouble} from '../state/jobs.js';
import {edit} from '../state/studio.js';
import {ROLES} from '../state/roles.js';
import {boxing, dialog, focusedPanel} from '../state/ui.js';
import {moveBy, toggleBoxes, toggleKeep} from '../state/commands.js';
import './box-layer.js';
import './box-list.js';
import './panel-menu.js';
import './resize-handle.js';
import './variant-strip.js';

export class PanelCard extends LitElement {
    static properties = {panel: {attribute: false}, index: {type: Number}, count: {type: Number}, backbone: {attribute: false}, hindrance: {}, over: {state: true}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Panel} */
        this.panel = late();
        this.index = 0;
        this.count = 1;
        /** @type {import('../state/types.js').Backbone | null} */
        this.backbone = null;
        /** What stands against this panel, in words. */
        this.hindrance = '';
        this.over = false;
        this._wasDrawnOn = false;
        new Watching(this, jobs, previews, trouble, focusedPanel, boxing);
    }

    render() {
        const panel = this.panel;
        const slot = isSlot(panel);
        const awaited = slot && isAwaited(panel.key);
        const what = slot ? 'slot' : panel.kept ? 'kept slot' : `condition, ${panel.role}`;
        const boxed = this._isDrawnOn;
        // Not while it is just being mended.
        const problem = trouble.value?.panel === panel.key ? trouble.value.text : boxed ? '' : this.hindrance;
        return html`<article
            aria-label=${`Panel ${this.index + 1} of ${this.count}, ${what}`}
            class=${classMap({over: this.over, slot, boxed, focused: focusedPanel.value === panel.key})}
            @focusin=${() => (focusedPanel.value = panel.key)}
            @keydown=${this._leaveBoxes} @dragover=${this._dragOver} @dragleave=${() => (this.over = false)} @drop=${this._drop}>
            <div class="stage"><div class="frame" aria-busy=${awaited}>${this._picture()}${awaited && !previews.value.has(panel.key) ? html`<div class="awaited" role="progressbar" aria-label=${`Slot ${this.index + 1} is being filled`}></div>` : nothing}${this._boxes()}${boxed ? nothing : this._tools()}</div>
                ${slot && !boxed ? html`<resize-handle .panel=${panel} .index=${this.index}></resize-handle>` : nothing}</div>
            ${boxed ? html`<box-list .panel=${panel} .index=${this.index} @done=${this._endBoxes}></box-list>` : nothing}
            ${slot ? html`<variant-strip .panel=${panel} .index=${this.index}></variant-strip>` : nothing}
            <div class="caption">
                <span class="number" aria-hidden="true">${this.index + 1}</span>
                <textarea rows="1" aria-label=${`Instruction of panel ${this.index + 1}`} maxlength=${MAX_LETTERS}
                    placeholder=${this._placeholder()} .value=${live(panel.instruction)}
                    @input=${this._type}></textarea>
            </div>
            ${problem ? html`<p class="problem" role="alert">${icon('warning', 16)}<span>${problem}</span></p>` : nothing}
        </article>`;
    }

    _placeholder() {
        if (this.backbone?.follows_words === false) return 'This model does not read words';
        return isSlot(this.panel) ? 'Say what belongs here' : 'Name what it shows';
    }

    /** Whether boxes can be drawn here. */
    get _takesBoxes() {
        return takesBoxes(this.panel, this.backbone);
    }

    /** Whether boxes are drawn here now. */
    get _isDrawnOn() {
        return boxing.value?.panel === this.panel.key && this._takesBoxes;
    }

    /** The made or given picture, or how far it has come; empty where there is none. */
    _address() {
        const panel = this.panel;
        const file = shown(panel);
        return (isSlot(panel) ? previews.value.get(panel.key)?.urls.find(Boolean) : '') || (file ? fileAddress(file, 1024) : '');
    }

    /** On an empty slot boxes are seen, on a picture while they are drawn. */
    _boxes() {
        const offered = this._takesBoxes;
        if (!this._isDrawnOn && (this._address() || !isSlot(this.panel) || !(offered || boxesOf(this.panel).length))) return nothing;
        return html`<box-layer .panel=${this.panel} .index=${this.index} .offered=${offered} ?active=${this._isDrawnOn} @words=${this._toWords}></box-layer>`;
    }

    /** @param {CustomEvent} event */
    async _toWords(event) {
        await new Promise(requestAnimationFrame);
        /** @type {import('./box-list.js').BoxList | null} */ (this.renderRoot.querySelector('box-list'))?.focusWords(event.detail);
    }

    /** The slot that is drawn on may stand larger and elsewhere, with its list below. */
    async _showWhole() {
        await new Promise(requestAnimationFrame);
        this.scrollIntoView({block: 'nearest'});
    }

    /** @param {KeyboardEvent} event */
    _leaveBoxes(event) {
        if (event.key === 'Escape' && this._isDrawnOn) this._endBoxes();
    }

    async _endBoxes() {
        boxing.value = null;
        await this.updateComplete;
        for (const name of ['.boxes', '.shown', '.empty']) {
            const found = /** @type {HTMLElement | null} */ (this.renderRoot.querySelector(name));
            if (!found?.offsetParent) continue;
            return found.focus({preventScroll: true});
        }
    }

    _picture() {
        const panel = this.panel;
        const preview = isSlot(panel) ? previews.value.get(panel.key) : undefined;
        const url = this._address();
        if (!url) {
            const offered = this._takesBoxes;
            const isPlain = !boxesOf(panel).length && !this._isDrawnOn;
            return html`<button class=${classMap({empty: true, plain: isPlain})} @click=${this._pick} @pointerdown=${this._begin}>
                <span class="for-readers">Panel ${this.index + 1}: </span>${isPlain ? icon('slot', 24) : nothing}<span class=${isPlain ? 'invite' : 'for-readers'}>An empty slot</span>${isPlain ? html`<span class="hint">Generate fills it. Or drop a picture here${offered ? html`<span class="with-pointer">, or drag to say what belongs where</span>` : nothing}.</span>` : nothing}
            </button>`;
        }
        return html`<img src=${url} alt=${panel.instruction || (isSlot(panel) ? 'Made picture' : 'Condition')}
                draggable="true" @dragstart=${this._dragPicture} @dblclick=${this._look}
                class=${classMap({made: isSlot(panel), making: Boolean(preview)})} />
            ${preview ? html`<progress aria-label="Steps of this slot" .value=${preview.step} max=${preview.steps}></progress>` : nothing}`;
    }

    _tools() {
        const panel = this.panel;
        const slot = isSlot(panel);
        const number = this.index + 1;
        return html`<div class="tools">
            ${panel.kept ? html`<button class="mark kept" title="Kept: the other slots see it. Press to let go." @click=${() => toggleKeep(panel.key)}
                aria-label=${`Panel ${number} is kept; let it go`}>${icon('pin', 14)}</button>` : nothing}
            ${!slot && !panel.kept ? html`<span class="mark" title=${ROLES[panel.role]?.name ?? panel.role}>${ROLES[panel.role]?.mark ?? '?'}</span>` : nothing}
            ${this._takesBoxes && boxesOf(panel).length && this._address() ? html`<button class="mark shown" title="Show its boxes" aria-label=${`Show the boxes of panel ${number}, ${boxesOf(panel).length}`} @click=${() => toggleBoxes(panel.key)}>${icon('boxes', 14)}</button>` : nothing}
            <button class="icon grip" draggable="true" @dragstart=${this._dragPanel} @keydown=${this._moveKeys}
                aria-label=${`Move panel ${number}: drag, or press the arrow keys`} title="Drag to move; or arrow keys">${icon('grip')}</button>
            <span class="gap"></span>
            ${this._takesBoxes ? html`<button class="icon boxes" title="Boxes: say what belongs where (Alt B)" aria-label=${`Draw boxes on panel ${number}`} @click=${() => toggleBoxes(panel.key)}>${icon('boxes')}</button>` : nothing}
            ${slot && answer(panel) ? html`
                <button class="icon" title="Another picture for this slot only (Alt R)" aria-label=${`Make slot ${number} again`} @click=${() => reroll(panel.key)}>${icon('again')}</button>
                <button class="icon" title="Keep: it becomes a condition (Alt K)" aria-label=${`Keep the picture of slot ${number}`} @click=${() => toggleKeep(panel.key)}>${icon('pin')}</button>` : nothing}
            <panel-menu .panel=${panel} .index=${this.index} .count=${this.count}></panel-menu>
        </div>`;
    }

    /** @param {Event} event */
    _type(event) {
        const area = /** @type {HTMLTextAreaElement} */ (event.target);
        const key = this.panel.key;
        edit((now) => changePanel(now, key, {instruction: area.value}), {name: `words ${key}`});
    }

    updated() {
        const isDrawnOn = this._isDrawnOn;
        if (isDrawnOn && !this._wasDrawnOn && !boxing.value?.drawn) this._showWhole();
        this._wasDrawnOn = isDrawnOn;
        const area = this.renderRoot.querySelector('textarea');
        if (!area) return;
        area.style.height = 'auto';
        area.style.height = `${area.scrollHeight}px`;
    }

    /** @param {PointerEvent} event */
    _begin(event) {
        /** @type {import('./box-layer.js').BoxLayer | null} */ (this.renderRoot.querySelector('box-layer'))?.begin(event);
    }

    async _pick() {
        const files = await pick();
        if (files.length) await bring(files, {key: this.panel.key});
    }

    _look() {
        const made = answer(this.panel);
        if (isSlot(this.panel) && made?.picture) dialog.value = {name: 'picture', about: {id: made.picture}};
    }

    /** @param {DragEvent} event */
    _dragPanel(event) {
        event.dataTransfer?.setData(PANEL_TYPE, this.panel.key);
        const frame = this.renderRoot.querySelector('.frame');
        if (frame) event.dataTransfer?.setDragImage(frame, 24, 24);
    }

    /** @param {DragEvent} event */
    _dragPicture(event) {
        const file = shown(this.panel);
        const made = answer(this.panel);
        const size = isSlot(this.panel) && made ? made : this.panel;
        if (file) event.dataTransfer?.setData(PICTURE_TYPE, JSON.stringify({id: file, width: size.width, height: size.height}));
        event.dataTransfer?.setData(PANEL_TYPE, this.panel.key);
    }

    /** @param {DragEvent} event */
    _dragOver(event) {
        if (!carriesPicture(event.dataTransfer) || event.dataTransfer?.types.includes(PANEL_TYPE)) return;
        event.preventDefault();
        event.stopPropagation();
        this.over = true;
    }

    /** @param {DragEvent} event */
    _drop(event) {
        if (!carriesPicture(event.dataTransfer) || event.dataTransfer?.types.includes(PANEL_TYPE)) return;
        event.preventDefault();
        event.stopPropagation();
        this.over = false;
        if (event.dataTransfer) bring(event.dataTransfer, {key: this.panel.key});
    }

    /** @param {KeyboardEvent} event */
    _moveKeys(event) {
        const by = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[event.key];
        if (by) {
            event.preventDefault();
            moveBy(this.panel.key, by);
        }
        if (event.key === 'Delete') edit((now) => removePanel(now, this.panel.key));
        if (event.key === 'Backspace') edit((now) => emptyPanel(now, this.panel.key));
    }

    static styles = [shared, css`
        :host { display: block; min-width: 0; scroll-margin: calc(var(--bar) + var(--space-2)) 0 120px; }
        article { position: relative; border-radius: var(--corner-picture); }
        .stage { position: relative; }
        article:hover resize-handle, article:focus-within resize-handle { --corner-shown: 1; }
        .frame { position: relative; aspect-ratio: var(--aspect, 1); background: var(--well); border-radius: var(--corner-picture); overflow: hidden; }
        .frame::after { content: ''; position: absolute; inset: 0; border-radius: inherit; box-shadow: inset 0 0 0 1px color-mix(in oklab, var(--ink) 12%, transparent); pointer-events: none; }
        .frame:has(.empty)::after { display: none; }
        .frame > img { width: 100%; height: 100%; object-fit: contain; animation: appear var(--calm); }
        .frame > img.making { animation: none; }
        @keyframes appear { from { opacity: 0.4; } }
        .awaited { position: absolute; inset: auto 0 0; height: 3px; overflow: hidden; background: var(--line); }
        .awaited::before { content: ''; position: absolute; inset: 0 60% 0 0; background: var(--pencil); animation: pass 1.1s infinite ease-in-out; }
        @keyframes pass { from { transform: translateX(-100%); } to { transform: translateX(250%); } }
        @media (prefers-reduced-motion: reduce) { .awaited::before { inset: 0; animation: none; } }
        .frame progress { position: absolute; inset: auto 0 0; }
        .slot .frame:has(.empty) { background: transparent; }
        .empty { display: grid; place-content: center; justify-items: center; gap: var(--space-1); width: 100%; height: 100%; padding: var(--space-3);
            border: 1.5px dashed var(--line-strong); border-radius: var(--corner-picture); background: transparent; color: var(--ink-3); cursor: pointer; text-align: center;
            container-type: size; transition: border-color var(--quick), color var(--quick); }
        .empty:hover { border-color: var(--pencil); color: var(--ink-2); }
        .invite { font: italic 400 var(--type-4)/1.2 var(--serif); color: var(--ink-2); margin-top: var(--space-1); }
        .hint { font-size: var(--type-1); max-width: 20ch; text-wrap: balance; }
        @container (max-width: 130px) { .hint { display: none; } }
        .boxed .frame { overflow: visible; }
        .over .frame { outline: 2px solid var(--pencil); outline-offset: 2px; }
        .tools { position: absolute; inset: var(--space-2) var(--space-2) auto; display: flex; align-items: center; gap: 2px; pointer-events: none; }
        .tools > * { pointer-events: auto; }
        .gap { flex: 1; pointer-events: none; }
        .tools .icon, panel-menu { opacity: 0; transition: opacity var(--quick); }
        .tools .icon { width: 32px; height: 32px; background: var(--raised); color: var(--ink); box-shadow: 0 0 0 1px var(--line); }
        .tools .icon:hover:not(:disabled) { background: color-mix(in oklab, var(--ink) 8%, var(--raised)); }
        .tools .grip { cursor: grab; }
        article:hover .icon, article:focus-within .icon, article:hover panel-menu, article:focus-within panel-menu { opacity: 1; }
        @media (hover: none) { .tools .icon, .with-pointer { display: none; } panel-menu { opacity: 0.9; } .mark.shown { width: 44px; height: 44px; } }
        .mark { display: grid; place-items: center; width: 22px; height: 22px; border: 0; padding: 0; border-radius: 50%;
            background: var(--raised); color: var(--ink-2); box-shadow: 0 0 0 1px var(--line); font: 600 11px/1 var(--sans); }
        .mark.shown { cursor: pointer; }
        .mark.kept { background: var(--pencil); color: var(--on-pencil); box-shadow: none; cursor: pointer; }
        .caption { display: flex; gap: var(--space-2); padding: var(--space-2) 0 0; }
        .number { font: 500 var(--type-1)/1.6rem var(--sans); color: var(--ink-3); font-variant-numeric: tabular-nums; }
        textarea { flex: 1; min-width: 0; width: 100%; resize: none; overflow: hidden; padding: 0 2px; border: 0; border-radius: 2px; background: transparent;
            font: 400 var(--type-4)/1.5 var(--serif); field-sizing: content; }
        textarea::placeholder { font-style: italic; color: var(--ink-3); opacity: 1; }
        textarea:focus { outline: 0; box-shadow: 0 1.5px 0 var(--pencil); }
        .problem { margin-top: var(--space-2); }
    `];
}
customElements.define('panel-card', PanelCard);
