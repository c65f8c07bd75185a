// A dialog in the top layer with a title and a way out; what it holds is slotted in.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from './icons.js';
import {shared} from './styles.js';
import '../components/message-stack.js';
import {dialog} from '../state/ui.js';

export class ModalBox extends LitElement {
    static properties = {heading: {}, wide: {type: Boolean, reflect: true}, bare: {type: Boolean, reflect: true}};

    constructor() {
        super();
        this.heading = '';
        this.wide = false;
        this.bare = false;
    }

    render() {
        return html`<dialog aria-label=${this.heading} @close=${this._closed} @click=${this._outside}>
            ${this.bare ? nothing : html`<div class="head"><h2>${this.heading}</h2><button class="icon" aria-label="Close" @click=${() => this.close()}>${icon('close')}</button></div>`}
            <div class="body"><slot></slot></div>
            <message-stack></message-stack></dialog>`;
    }

    get _box() {
        return /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
    }

    firstUpdated() {
        this._box.showModal();
        /** @type {HTMLElement | null} */ (this.querySelector('[autofocus]'))?.focus();
    }

    close() {
        this._box.close();
    }

    _closed() {
        dialog.value = null;
    }

    /** @param {MouseEvent} event */
    _outside(event) {
        if (event.target === this._box) this.close();
    }

    static styles = [shared, css`
        dialog { width: min(640px, calc(100vw - 2 * var(--space-4))); max-height: min(86dvh, 900px); padding: 0; border: 0; border-radius: 10px; background: var(--raised); color: var(--ink); box-shadow: var(--shadow-float); overflow: hidden; }
        dialog[open] { display: flex; flex-direction: column; }
        :host([wide]) dialog { width: min(1080px, calc(100vw - 2 * var(--space-4))); }
        dialog::backdrop { background: var(--shade); }
        .head { display: flex; align-items: center; justify-content: space-between; gap: var(--space-3); padding: var(--space-4) var(--space-4) var(--space-3) var(--space-5); }
        .body { padding: 0 var(--space-5) var(--space-5); overflow-y: auto; }
        :host([bare]) .body { padding: 0; }
        @media (max-width: 640px) { dialog, :host([wide]) dialog { width: 100vw; max-width: 100vw; margin: auto 0 0; border-radius: 12px 12px 0 0; } .head, .body { padding-left: var(--space-4); padding-right: var(--space-4); } }
    `];
}
customElements.define('modal-box', ModalBox);
