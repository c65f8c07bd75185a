// Boxes on a panel's picture or empty slot: seen, and while they are drawn on, dragged or moved by arrow keys.
import {LitElement, classMap, css, html, nothing} from '../vendor/lit.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {vars} from '../ui/vars.js';
import {Watching} from '../state/signal.js';
import {MOST_BOXES, addBox, boxesOf, isMeant, moved, placeBox, pulled, removeBox, spanned, told} from '../state/boxes.js';
import {answer, isSlot} from '../state/doc.js';
import {edit} from '../state/studio.js';
import {boxing} from '../state/ui.js';

/** @typedef {import('../state/boxes.js').Corners} Corners */
/** @typedef {import('../state/boxes.js').Point} Point */
/** What a drag makes of the place where the pointer is now. @typedef {(now: Point) => Corners} Drag */

/** Left and top are -1, right and bottom 1: the sides that a handle moves. @type {[string, Point][]} */
const HANDLES = [['n', [0, -1]], ['e', [1, 0]], ['s', [0, 1]], ['w', [-1, 0]], ['nw', [-1, -1]], ['ne', [1, -1]], ['sw', [-1, 1]]];
const STEP = 0.01;
/** From so far on it is a drag and no click. */
const DRAG_PX = 6;

export class BoxLayer extends LitElement {
    static properties = {panel: {attribute: false}, index: {type: Number}, active: {type: Boolean, reflect: true}, offered: {type: Boolean}, wanted: {state: true}, said: {state: true}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Panel} */
        this.panel = late();
        this.index = 0;
        /** Whether boxes are drawn here now. */
        this.active = false;
        /** Whether the model reads them. */
        this.offered = false;
        /** @type {{at: number, corners: Corners} | null} What a drag would make of a box; one that is new comes last. */
        this.wanted = null;
        /** Read out after a change. */
        this.said = '';
        this._escape = this._escape.bind(this);
        new Watching(this, boxing);
    }

    render() {
        const boxes = boxesOf(this.panel);
        const places = boxes.map((box, at) => (this.wanted?.at === at ? this.wanted.corners : box.corners));
        if (this.wanted && this.wanted.at >= boxes.length) places.push(this.wanted.corners);
        const chosen = this._chosen;
        return html`<div class=${classMap({room: true, unread: !this.offered})} ${vars({'--shape': this._shape()})} @pointerdown=${this._draw}>
                ${places.map((corners, at) => this._box(corners, at, boxes[at]?.words ?? '', at === chosen))}
                ${this.active && chosen !== null && places[chosen] && !(this.wanted && this.wanted.at !== chosen) ? this._handles(places[chosen], chosen) : nothing}
            </div><span class="for-readers" role="status">${this.said}</span>`;
    }

    /** Which box is chosen here, from 0. */
    get _chosen() {
        const at = this.active ? (boxing.value?.at ?? null) : null;
        return at !== null && at < boxesOf(this.panel).length ? at : null;
    }

    /** Of the picture or the slot, whose frame may be less long. */
    _shape() {
        const made = isSlot(this.panel) ? answer(this.panel) : null;
        const {width, height} = made?.width ? made : this.panel;
        return width && height ? String(width / height) : 'var(--aspect, 1)';
    }

    /** @param {Corners} corners @param {number} at @param {string} words @param {boolean} chosen */
    _box(corners, at, words, chosen) {
        const small = (corners[2] - corners[0]) * (corners[3] - corners[1]);
        const name = `Box ${at + 1} of panel ${this.index + 1}, ${words || 'without words'}`;
        const help = this.active ? `${told(corners)}. Drag to move, or press the arrow keys; Delete removes it, Enter goes to its words` : this.offered ? 'press to change it' : 'the model does not read it';
        return html`<button class=${classMap({box: true, chosen})} ${vars({...place(corners), '--above': String(Math.round((1 - small) * 50))})}
            aria-label=${`${name}: ${help}`} title=${words || nothing} ?disabled=${!this.offered} data-at=${at}
            @pointerdown=${(/** @type {PointerEvent} */ event) => this._takeBox(event, at)} @focus=${() => this.active && this._choose(at)} @keydown=${(/** @type {KeyboardEvent} */ event) => this._keys(event, at)}
            @click=${() => this._choose(at)} @dblclick=${() => this._toWords(at)}>
            <span class="label"><b>${at + 1}</b>${words ? html`<span class="words">${words}</span>` : nothing}</span>
            ${this.wanted?.at === at ? html`<output>${told(corners).split(',')[0]}</output>` : nothing}</button>`;
    }

    /** @param {Corners} corners @param {number} at */
    _handles(corners, at) {
        return html`<div class="handles" ${vars(place(corners))}>
            ${HANDLES.map(([name, sides]) => html`<span class="handle ${name}" aria-hidden="true" @pointerdown=${(/** @type {PointerEvent} */ event) => this._takeSides(event, at, sides)}></span>`)}
            <button class="handle se" aria-label=${`Resize box ${at + 1} of panel ${this.index + 1}, now ${told(corners)}: drag, or press the arrow keys`}
                @pointerdown=${(/** @type {PointerEvent} */ event) => this._takeSides(event, at, [1, 1])} @keydown=${(/** @type {KeyboardEvent} */ event) => this._keys(event, at, true)}></button></div>`;
    }

    get _room() {
        return /** @type {HTMLElement} */ (this.renderRoot.querySelector('.room'));
    }

    /** @param {PointerEvent} event @returns {Point} */
    _point(event) {
        const {left, top, width, height} = this._room.getBoundingClientRect();
        return [(event.clientX - left) / width, (event.clientY - top) / height];
    }

    /** @param {number | null} at */
    _choose(at) {
        if (boxing.value?.panel !== this.panel.key || boxing.value.at !== at) boxing.value = {panel: this.panel.key, at};
    }

    /** From an empty slot: a drag draws, and a click stays a click. @param {PointerEvent} event */
    begin(event) {
        if (event.button || event.pointerType === 'touch' || !this.offered) return;
        const stop = new AbortController();
        const start = this._point(event);
        addEventListener('pointermove', (moved) => {
            if (Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) < DRAG_PX) return;
            stop.abort();
            boxing.value = {panel: this.panel.key, at: null, drawn: true};
            this._drawFrom(start, moved);
        }, {signal: stop.signal});
        for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => stop.abort(), {signal: stop.signal});
    }

    /** @param {PointerEvent} event */
    _draw(event) {
        if (event.button || !this.active) return;
        event.preventDefault();
        this._drawFrom(this._point(event), event);
    }

    /** @param {Point} start @param {PointerEvent} event */
    _drawFrom(start, event) {
        const at = boxesOf(this.panel).length;
        if (at >= MOST_BOXES) return;
        this._choose(null);
        this._follow(event, at, (now) => spanned(start, now));
    }

    /** Shift draws inside of a box. @param {PointerEvent} event @param {number} at */
    _takeBox(event, at) {
        if (event.button || event.shiftKey || !this.active) return;
        event.stopPropagation();
        event.preventDefault();
        this._focus(at);
        const [start, corners] = [this._point(event), boxesOf(this.panel)[at].corners];
        this._follow(event, at, (now) => moved(corners, [now[0] - start[0], now[1] - start[1]]));
    }

    /** @param {PointerEvent} event @param {number} at @param {Point} sides */
    _takeSides(event, at, sides) {
        if (event.button) return;
        event.stopPropagation();
        event.preventDefault();
        const [start, corners] = [this._point(event), boxesOf(this.panel)[at].corners];
        this._follow(event, at, (now) => pulled(corners, sides, [now[0] - start[0], now[1] - start[1]]));
    }

    /** @param {PointerEvent} event @param {number} at @param {Drag} drag */
    _follow(event, at, drag) {
        const room = this._room;
        room.setPointerCapture(event.pointerId);
        room.onpointermove = (now) => (this.wanted = {at, corners: drag(this._point(now))});
        room.onpointerup = () => this._end(true);
        room.onpointercancel = () => this._end(false);
        addEventListener('keydown', this._escape, true);
    }

    /** @param {boolean} meant */
    _end(meant) {
        removeEventListener('keydown', this._escape, true);
        const room = this._room;
        room.onpointermove = room.onpointerup = room.onpointercancel = null;
        const {wanted} = this;
        this.wanted = null;
        if (!meant || !wanted) return;
        if (wanted.at < boxesOf(this.panel).length) return this._place(wanted.at, wanted.corners, '');
        if (!isMeant(wanted.corners)) return;
        edit((now) => addBox(now, this.panel.key, wanted.corners));
        this._choose(wanted.at);
        this._toWords(wanted.at);
    }

    /** @param {KeyboardEvent} event */
    _escape(event) {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        event.stopPropagation();
        this._end(false);
    }

    /** @param {KeyboardEvent} event @param {number} at @param {boolean} [resizes] */
    _keys(event, at, resizes = false) {
        if (!this.active || event.altKey || event.ctrlKey || event.metaKey) return;
        const key = event.key;
        const step = STEP * (event.shiftKey ? 5 : 1);
        const by = /** @type {Record<string, Point>} */ ({ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowDown: [0, step], ArrowUp: [0, -step]})[key];
        if (!by && !['Delete', 'Backspace', 'Enter'].includes(key)) return;
        event.preventDefault();
        if (key === 'Enter') return this._toWords(at);
        if (!by) return this._remove(at);
        const {corners} = boxesOf(this.panel)[at];
        this._place(at, resizes ? pulled(corners, [1, 1], by) : moved(corners, by), `box ${this.panel.key} ${at}`);
    }

    /** @param {number} at @param {Corners} corners @param {string} name */
    _place(at, corners, name) {
        if (String(corners) === String(boxesOf(this.panel)[at].corners)) return;
        edit((now) => placeBox(now, this.panel.key, at, corners), {name});
        this.said = told(corners);
    }

    /** @param {number} at */
    async _remove(at) {
        edit((now) => removeBox(now, this.panel.key, at));
        this.said = `Box ${at + 1} removed`;
        boxing.value = {panel: this.panel.key, at: null};
        await new Promise(requestAnimationFrame);
        if (boxesOf(this.panel).length) this._focus(Math.min(at, boxesOf(this.panel).length - 1));
        else this._toWords(null);
    }

    /** @param {number} at */
    _focus(at) {
        /** @type {HTMLElement | null} */ (this.renderRoot.querySelector(`[data-at="${at}"]`))?.focus({preventScroll: true});
        this._choose(at);
    }

    /** Where its words are written, beside the picture. @param {number | null} at */
    _toWords(at) {
        this.dispatchEvent(new CustomEvent('words', {detail: at}));
    }

    static styles = [shared, css`
        :host { position: absolute; inset: 0; container-type: size; pointer-events: none; }
        .room { position: absolute; inset: 0; margin: auto; width: min(100cqw, 100cqh * var(--shape)); height: min(100cqh, 100cqw / var(--shape)); user-select: none; -webkit-user-select: none; }
        :host([active]) .room { pointer-events: auto; touch-action: none; cursor: crosshair; }
        .box, .handles { position: absolute; left: var(--l); top: var(--t); width: var(--w); height: var(--h); }
        .box { z-index: var(--above); display: block; padding: 0; border: 2px solid var(--pencil); border-radius: 2px; background: color-mix(in oklab, var(--pencil) 6%, transparent); text-align: left; cursor: pointer; pointer-events: auto; }
        /* Seen on any picture: paper on both sides of the line. */
        .box { box-shadow: 0 0 0 1px var(--sheet), inset 0 0 0 1px var(--sheet); }
        :host([active]) .box { cursor: move; touch-action: none; }
        .box.chosen { background: color-mix(in oklab, var(--pencil) 16%, transparent); }
        .box:focus-visible { outline-offset: 3px; }
        .label { position: absolute; left: 0; top: 0; display: flex; gap: 5px; max-width: 100%; padding: 1px 6px 2px 5px; overflow: hidden; border-radius: 0 0 3px 0; background: var(--pencil); color: var(--on-pencil); font: 500 var(--type-1)/1.4 var(--sans); white-space: nowrap; }
        .label b { font-weight: 600; font-variant-numeric: tabular-nums; }
        .words { overflow: hidden; text-overflow: ellipsis; }
        .unread .box { border-style: dashed; border-color: var(--line-strong); background: transparent; cursor: default; pointer-events: none; }
        .unread .label { background: var(--raised); color: var(--ink-2); box-shadow: 0 0 0 1px var(--line-strong); text-decoration: line-through; }
        output { position: absolute; right: 4px; bottom: 4px; padding: 1px 6px; border-radius: 3px; background: var(--pencil); color: var(--on-pencil); font: 500 var(--type-1)/1.5 var(--sans); font-variant-numeric: tabular-nums; white-space: nowrap; }
        .handles { z-index: 60; pointer-events: none; }
        .handle { position: absolute; display: grid; place-items: center; width: 20px; height: 20px; margin: -10px; padding: 0; border: 0; background: transparent; pointer-events: auto; touch-action: none; }
        .handle::after { content: ''; width: 10px; height: 10px; border: 2px solid var(--pencil); border-radius: 2px; background: var(--raised); }
        .n, .s { left: 10px; right: 10px; width: auto; margin-inline: 10px; cursor: ns-resize; }
        .e, .w { top: 10px; bottom: 10px; height: auto; margin-block: 10px; cursor: ew-resize; }
        .n, .e, .s, .w { z-index: -1; }
        .n::after, .e::after, .s::after, .w::after { display: none; }
        .nw, .ne, .n { top: 0; } .sw, .se, .s { top: 100%; } .nw, .sw, .w { left: 0; } .ne, .se, .e { left: 100%; }
        .nw, .se { cursor: nwse-resize; } .ne, .sw { cursor: nesw-resize; }
        @media (hover: none) { .handle { width: 44px; height: 44px; margin: -22px; } .n, .s { width: auto; height: 28px; margin: -14px 12px; } .e, .w { width: 28px; height: auto; margin: 12px -14px; } .handle::after { width: 14px; height: 14px; } }
        @media (forced-colors: active) { .box { border-color: Highlight; } }
    `];
}
customElements.define('box-layer', BoxLayer);

/** @param {Corners} corners */
function place([left, top, right, bottom]) {
    const share = (/** @type {number} */ part) => `${part * 100}%`;
    return {'--l': share(left), '--t': share(top), '--w': share(right - left), '--h': share(bottom - top)};
}
