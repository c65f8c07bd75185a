// A dialog in the top layer with a title and a way out; what it holds is slotted in.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from './icons.js';
import {shared} from './styles.js';
import '../components/message-stack.js';
import {dialog} from '../state/ui.js';

/** What has the focus, in whichever component. @returns {HTMLElement | null} */
function focused() {
    let found = document.activeElement;
    while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
    return found === document.body ? null : /** @type {HTMLElement | null} */ (found);
}

export class ModalBox extends LitElement {
    static properties = {heading: {}, wide: {type: Boolean, reflect: true}, bare: {type: Boolean, reflect: true}};

    constructor() {
        super();
        this.heading = '';
        this.wide = false;
        this.bare = false;
    }

    render() {
        return html`<dialog aria-label=${this.heading} @close=${this._closed} @cancel=${this._cancelled} @click=${this._outside}>
            ${this.bare ? nothing : html`<div class="head"><h2>${this.heading}</h2><button class="icon" aria-label="Close" @click=${() => this.close()}>${icon('close')}</button></div>`}
            <div class="body"><slot></slot></div>
            <message-stack></message-stack></dialog>`;
    }

    get _box() {
        return /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
    }

    firstUpdated() {
        this._shown = dialog.value;
        this._before = focused();
        this._box.showModal();
        /** @type {HTMLElement | null} */ (this.querySelector('[autofocus]'))?.focus();
    }

    disconnectedCallback() {
        super.disconnectedCallback();
        if (document.activeElement === document.body) this._return();
    }

    /** At once: what is pressed next may open another dialog. */
    close() {
        this._box.close();
        this._return();
        this._closed();
    }

    /** The focus goes back to where it was. The browser's own way leaves a field without its caret: typing is lost. */
    _return() {
        const before = this._before;
        this._before = null;
        before?.blur();
        before?.focus({preventScroll: true});
    }

    /** Escape. @param {Event} event */
    _cancelled(event) {
        event.preventDefault();
        this.close();
    }

    _closed() {
        if (dialog.value === this._shown) dialog.value = null;
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
        /* Room for the ring around what has the focus, which would be cut off at the top. */
        .body { margin-top: -4px; padding: 4px var(--space-5) var(--space-5); overflow-y: auto; }
        :host([bare]) .body { margin: 0; padding: 0; }
        @media (max-width: 640px) { dialog, :host([wide]) dialog { width: 100vw; max-width: 100vw; margin: auto 0 0; border-radius: 12px 12px 0 0; } .head, .body { padding-left: var(--space-4); padding-right: var(--space-4); } }
    `];
}
/** @type {any} */ (ModalBox.prototype)._shown = null;
/** @type {any} */ (ModalBox.prototype)._before = null;
customElements.define('modal-box', ModalBox);
