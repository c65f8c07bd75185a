// The edges and the corner of a slot, to be dragged or moved by arrow keys; says the size while it changes.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {vars} from '../ui/vars.js';
import {changePanel} from '../state/doc.js';
import {backboneOf} from '../state/server.js';
import {said, sizeOfAspect, snapped, reach} from '../state/size.js';
import {doc, edit} from '../state/studio.js';

/** @typedef {import('../state/types.js').Size} Size */
/** Where a drag began: the pointer, the frame on the screen, the size in pixels, and which sides move. @typedef {{x: number, y: number, box: DOMRect, size: Size, moves: Size}} Start */

export class ResizeHandle extends LitElement {
    static properties = {panel: {attribute: false}, index: {type: Number}, wanted: {state: true}, told: {state: true}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Panel} */
        this.panel = late();
        this.index = 0;
        /** @type {{size: Size, width: number, height: number} | null} What a drag would make of the slot, in its pixels and on the screen. */
        this.wanted = null;
        /** Read out after a change. */
        this.told = '';
        /** @type {Start | null} */
        this._start = null;
        this._escape = this._escape.bind(this);
    }

    render() {
        const now = said(this._size());
        return html`${this.wanted ? html`<div class="ghost" ${vars({'--w': `${this.wanted.width}px`, '--h': `${this.wanted.height}px`})}><output>${said(this.wanted.size)}</output></div>` : nothing}
            <span class="edge right" aria-hidden="true" @pointerdown=${(/** @type {PointerEvent} */ event) => this._take(event, [1, 0])}></span>
            <span class="edge bottom" aria-hidden="true" @pointerdown=${(/** @type {PointerEvent} */ event) => this._take(event, [0, 1])}></span>
            <button class="corner" aria-label=${`Resize slot ${this.index + 1}, now ${now}: drag, or press the arrow keys`} title="Drag to resize, Shift keeps the shape; or arrow keys. Backspace: as the page"
                @pointerdown=${(/** @type {PointerEvent} */ event) => this._take(event, [1, 1])} @focus=${() => this.requestUpdate()} @keydown=${this._keys} @dblclick=${this._asPage}>${icon('corner', 14)}</button>
            <span class="for-readers" role="status">${this.told}</span>`;
    }

    /** The frame on the screen. */
    _box() {
        return this.getBoundingClientRect();
    }

    /** What the slot is asked to be, or would be by its shape. @returns {Size} */
    _size() {
        if (this.panel.width) return [this.panel.width, this.panel.height];
        return sizeOfAspect(Number(getComputedStyle(this).getPropertyValue('--aspect')) || 1, backboneOf(doc.value));
    }

    /** @param {PointerEvent} event @param {Size} moves */
    _take(event, moves) {
        if (event.button) return;
        event.preventDefault();
        const handle = /** @type {HTMLElement} */ (event.currentTarget);
        handle.setPointerCapture(event.pointerId);
        this._start = {x: event.clientX, y: event.clientY, box: this._box(), size: this._size(), moves};
        handle.onpointermove = (moved) => this._move(moved);
        handle.onpointerup = () => this._end(true);
        handle.onpointercancel = () => this._end(false);
        addEventListener('keydown', this._escape, true);
    }

    /** @param {PointerEvent} event */
    _move(event) {
        if (!this._start) return;
        const {x, y, box, size, moves} = this._start;
        const backbone = backboneOf(doc.value);
        let by = [(box.width + moves[0] * (event.clientX - x)) / box.width, (box.height + moves[1] * (event.clientY - y)) / box.height];
        if (event.shiftKey && moves[0] && moves[1]) by = [Math.max(...by), Math.max(...by)];
        const next = /** @type {Size} */ (size.map((length, side) => (moves[side] ? snapped(length * by[side], backbone) : length)));
        this.wanted = {size: next, width: (box.width * next[0]) / size[0], height: (box.height * next[1]) / size[1]};
    }

    /** @param {boolean} isMeant */
    _end(isMeant) {
        removeEventListener('keydown', this._escape, true);
        for (const handle of /** @type {NodeListOf<HTMLElement>} */ (this.renderRoot.querySelectorAll('.edge, .corner'))) handle.onpointermove = handle.onpointerup = handle.onpointercancel = null;
        const {wanted} = this;
        const start = this._start;
        [this.wanted, this._start] = [null, null];
        if (isMeant && wanted && start && String(wanted.size) !== String(start.size)) this._set(wanted.size, '');
    }

    /** @param {KeyboardEvent} event */
    _escape(event) {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        event.stopPropagation();
        this._end(false);
    }

    /** @param {KeyboardEvent} event */
    _keys(event) {
        if (event.key === 'Backspace' || event.key === 'Delete') return this._asPage();
        const by = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1]}[event.key];
        if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        const backbone = backboneOf(doc.value);
        const step = reach(backbone).step * (event.shiftKey ? 4 : 1);
        const [width, height] = this._size();
        this._set([snapped(width + by[0] * step, backbone), snapped(height + by[1] * step, backbone)], `size ${this.panel.key}`);
    }

    _asPage() {
        edit((now) => changePanel(now, this.panel.key, {width: 0, height: 0}));
        this.told = 'As the page';
    }

    /** @param {Size} size @param {string} name */
    _set([width, height], name) {
        edit((now) => changePanel(now, this.panel.key, {width, height}), {name});
        this.told = said([width, height]);
    }

    static styles = [shared, css`
        :host { position: absolute; inset: 0; pointer-events: none; }
        .edge, .corner { position: absolute; pointer-events: auto; touch-action: none; }
        .edge.right { inset: 40px -7px 24px auto; width: 14px; cursor: ew-resize; }
        .edge.bottom { inset: auto 24px -7px 0; height: 14px; cursor: ns-resize; }
        .edge::after { content: ''; position: absolute; border-radius: 2px; background: var(--pencil); opacity: 0; transition: opacity var(--quick); }
        .edge.right::after { inset: 0 6px; width: 2px; }
        .edge.bottom::after { inset: 6px 0; height: 2px; }
        .edge:hover::after { opacity: 1; }
        .corner { right: 0; bottom: 0; display: grid; place-items: end; width: 28px; height: 28px; padding: 3px; border: 0; background: transparent; color: var(--ink-3); cursor: nwse-resize; opacity: var(--corner-shown, 0); transition: opacity var(--quick); }
        .corner svg { border-radius: 3px; background: var(--raised); box-shadow: 0 0 0 1px var(--line); }
        .corner:hover, .corner:focus-visible { color: var(--pencil); }
        .corner:focus-visible { opacity: 1; }
        .ghost { position: absolute; z-index: 4; top: 0; left: 0; width: var(--w); height: var(--h); border: 2px solid var(--pencil); border-radius: var(--corner-picture); background: color-mix(in oklab, var(--pencil) 7%, transparent); }
        output { position: absolute; right: 6px; bottom: 6px; padding: 2px 8px; border-radius: 4px; background: var(--pencil); color: var(--on-pencil); font: 500 var(--type-1)/1.5 var(--sans); font-variant-numeric: tabular-nums; white-space: nowrap; }
        @media (hover: none) { .corner { width: 44px; height: 44px; opacity: 1; } .edge { display: none; } }
    `];
}
customElements.define('resize-handle', ResizeHandle);
