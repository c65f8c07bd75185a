// One picture of the gallery.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {fileAddress} from '../state/api.js';
import {PICTURE_TYPE} from '../state/files.js';
import {bin, mark} from '../state/gallery.js';
import {dialog} from '../state/ui.js';

export class GalleryItem extends LitElement {
    static properties = {picture: {attribute: false}, selected: {type: Boolean, reflect: true}, choosing: {type: Boolean, reflect: true}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Picture} */
        this.picture = late();
        this.selected = false;
        this.choosing = false;
    }

    render() {
        const one = this.picture;
        const words = one.prompt_words || 'without words';
        return html`<button class="look" aria-label=${`${words}, seed ${one.seed}${one.favourite ? ', favourite' : ''}${one.rejected ? ', rejected' : ''}`} draggable="true"
                @dragstart=${this._drag} @click=${this._click} @keydown=${this._keys}>
                <img class=${one.rejected ? 'rejected' : ''} src=${fileAddress(one.file, 256)} alt="" loading="lazy" decoding="async" width=${one.width} height=${one.height} />
                <span class="words">${words}</span></button>
            <button class="icon choose" role="checkbox" aria-checked=${this.selected} aria-label=${`Choose: ${words}`} @click=${(/** @type {MouseEvent} */ event) => this._choose(event.shiftKey)}>${this.selected ? icon('check', 14) : nothing}</button>
            <button class="icon star" aria-pressed=${one.favourite} aria-label="Favourite" title="Favourite (F)" @click=${() => mark([one.id], {favourite: !one.favourite})}>${icon('star', 16)}</button>`;
    }

    /** @param {boolean} range */
    _choose(range) {
        this.dispatchEvent(new CustomEvent('choose', {detail: {range}}));
    }

    /** @param {MouseEvent} event */
    _click(event) {
        if (event.shiftKey || event.metaKey || event.ctrlKey || this.choosing) this._choose(event.shiftKey);
        else dialog.value = {name: 'picture', about: {id: this.picture.id}};
    }

    /** @param {KeyboardEvent} event */
    _keys(event) {
        const {id, favourite, rejected} = this.picture;
        if (event.metaKey || event.ctrlKey || event.altKey) return;
        if (event.key === 'f') mark([id], {favourite: !favourite});
        else if (event.key === 'x') mark([id], {rejected: !rejected});
        else if (event.key === ' ') this._choose(false);
        else if (event.key === 'Delete') bin([id]);
        else return;
        event.preventDefault();
    }

    /** @param {DragEvent} event */
    _drag(event) {
        const {file, width, height} = this.picture;
        event.dataTransfer?.setData(PICTURE_TYPE, JSON.stringify({id: file, width, height}));
    }

    static styles = [shared, css`
        :host { position: relative; display: block; aspect-ratio: 1; border-radius: var(--corner-picture); overflow: hidden; background: var(--well); }
        .look { display: block; width: 100%; height: 100%; padding: 0; border: 0; background: transparent; cursor: pointer; }
        .look:focus-visible { outline-offset: -3px; }
        img { width: 100%; height: 100%; object-fit: cover; transition: opacity var(--quick); }
        img.rejected { opacity: 0.35; }
        .words { position: absolute; inset: auto 0 0; padding: var(--space-5) var(--space-2) var(--space-2); background: linear-gradient(transparent, rgb(0 0 0 / 0.72)); color: #fff; font: 400 var(--type-2)/1.25 var(--serif); text-align: left; opacity: 0; transition: opacity var(--quick); pointer-events: none; }
        :host(:hover) .words, .look:focus-visible .words { opacity: 1; }
        .choose, .star { position: absolute; top: 6px; width: 26px; height: 26px; background: var(--raised); color: var(--ink); box-shadow: 0 0 0 1px var(--line); opacity: 0; }
        :host(:not([selected])) .icon:hover:not(:disabled) { background: color-mix(in oklab, var(--ink) 8%, var(--raised)); }
        .choose { left: 6px; border-radius: 50%; }
        .star { right: 6px; }
        .star[aria-pressed='true'] { opacity: 1; }
        .star[aria-pressed='true'] svg { fill: currentColor; }
        :host(:hover) .icon, .icon:focus-visible, :host([selected]) .choose { opacity: 1; }
        /* Within its edges: what goes beyond is cut off by the rows around it. */
        :host([selected])::after { content: ''; position: absolute; inset: 0; border-radius: inherit; box-shadow: inset 0 0 0 3px var(--pencil); pointer-events: none; }
        :host([selected]) .choose { background: var(--pencil); color: var(--on-pencil); }
        :host([choosing]) .choose { opacity: 1; }
        /* A finger has no hover: what it does not see it must not press. */
        @media (hover: none) { .words { display: none; } .icon, :host(:hover) .icon { opacity: 0; pointer-events: none; } :host .star[aria-pressed='true'], :host([selected]) .choose, :host([choosing]) .choose { opacity: 1; pointer-events: auto; } }
    `];
}
customElements.define('gallery-item', GalleryItem);
