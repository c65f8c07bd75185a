// A button and its menu: opens in the top layer beside the button, driven by arrow keys, closed by Escape.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from './icons.js';
import {shared} from './styles.js';

/** @typedef {{label: string, run: () => void, icon?: string, key?: string, checked?: boolean, disabled?: boolean, detail?: string}} MenuItem */

export class PopMenu extends LitElement {
    static properties = {label: {}, items: {attribute: false}, shown: {state: true}, disabled: {type: Boolean}};

    constructor() {
        super();
        this.label = '';
        /** @type {() => (MenuItem | null)[]} */
        this.items = () => [];
        this.shown = false;
        this.disabled = false;
    }

    render() {
        return html`<button class="opener" aria-haspopup="menu" aria-expanded=${this.shown} aria-label=${this.label || nothing} title=${this.label || nothing}
                ?disabled=${this.disabled} @click=${this._toggle} @keydown=${this._openKeys}><slot></slot></button>
            <div popover="auto" role="menu" aria-label=${this.label} @toggle=${this._toggled} @keydown=${this._keys}>
                ${this.shown ? this.items().map((item) => this._item(item)) : nothing}
            </div>`;
    }

    /** @param {MenuItem | null} item */
    _item(item) {
        if (!item) return html`<hr role="separator" />`;
        const isChoice = item.checked !== undefined;
        return html`<button role=${isChoice ? 'menuitemradio' : 'menuitem'} aria-checked=${isChoice ? String(item.checked) : nothing} tabindex="-1"
            ?disabled=${item.disabled ?? false} @click=${() => this._run(item)}>
            <span class="sign">${isChoice ? (item.checked ? icon('check', 16) : nothing) : item.icon ? icon(item.icon, 16) : nothing}</span>
            <span class="text">${item.label}${item.detail ? html`<small>${item.detail}</small>` : nothing}</span>
            ${item.key ? html`<kbd>${item.key}</kbd>` : nothing}</button>`;
    }

    get _menu() {
        return /** @type {HTMLElement} */ (this.renderRoot.querySelector('[popover]'));
    }

    get _entries() {
        return /** @type {HTMLButtonElement[]} */ ([...this._menu.querySelectorAll('button:not(:disabled)')]);
    }

    /** @param {MenuItem} item */
    _run(item) {
        this._menu.hidePopover();
        /** @type {HTMLElement | null} */ (this.renderRoot.querySelector('.opener'))?.focus();
        item.run();
    }

    async _toggle() {
        if (this.shown) return this._menu.hidePopover();
        this.shown = true;
        await this.updateComplete;
        this._menu.showPopover();
        this._lay();
        (this._entries.find((one) => one.getAttribute('aria-checked') === 'true') ?? this._entries[0])?.focus();
    }

    _lay() {
        const at = this.getBoundingClientRect();
        const menu = this._menu;
        const {offsetWidth: width, offsetHeight: height} = menu;
        const left = Math.max(8, Math.min(at.left, innerWidth - width - 8));
        const below = at.bottom + 6 + height < innerHeight;
        menu.style.left = `${at.left + width > innerWidth - 8 ? Math.max(8, at.right - width) : left}px`;
        menu.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - height - 6)}px`;
    }

    /** @param {ToggleEvent} event */
    _toggled(event) {
        if (event.newState === 'closed') this.shown = false;
    }

    /** @param {KeyboardEvent} event */
    _openKeys(event) {
        if (event.key === 'ArrowDown' && !this.shown) {
            event.preventDefault();
            this._toggle();
        }
    }

    /** @param {KeyboardEvent} event */
    _keys(event) {
        const entries = this._entries;
        const at = entries.indexOf(/** @type {HTMLButtonElement} */ (/** @type {ShadowRoot} */ (this.renderRoot).activeElement));
        const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1}[event.key];
        event.stopPropagation();
        if (event.key === 'Tab') this._menu.hidePopover();
        if (event.key === 'Escape') {
            this._menu.hidePopover();
            /** @type {HTMLElement | null} */ (this.renderRoot.querySelector('.opener'))?.focus();
        }
        if (to === undefined) return;
        event.preventDefault();
        entries.at(to % entries.length)?.focus();
    }

    static styles = [shared, css`
        :host { display: inline-block; }
        .opener { display: inline-flex; padding: 0; border: 0; background: transparent; cursor: pointer; border-radius: var(--corner); text-align: left; }
        .opener:disabled { cursor: not-allowed; }
        [popover] { position: fixed; inset: auto; margin: 0; padding: var(--space-1); min-width: 210px; max-width: min(380px, calc(100vw - 16px)); max-height: calc(100dvh - 16px);
            overflow-y: auto; border: 0; border-radius: var(--corner); background: var(--raised); color: var(--ink); box-shadow: var(--shadow-float); }
        [popover] button { display: flex; align-items: center; gap: var(--space-2); width: 100%; min-height: 34px; padding: var(--space-1) var(--space-2);
            border: 0; border-radius: 4px; background: transparent; font: 400 var(--type-2)/1.3 var(--sans); text-align: left; cursor: pointer; }
        [popover] button:hover:not(:disabled), [popover] button:focus-visible { background: color-mix(in oklab, var(--ink) 8%, transparent); outline-offset: -2px; }
        [popover] button:disabled { color: var(--ink-3); cursor: not-allowed; }
        .sign { display: grid; width: 18px; flex: none; color: var(--ink-2); }
        .text { flex: 1; }
        small { display: block; color: var(--ink-3); font-size: var(--type-1); }
        hr { margin: var(--space-1) var(--space-2); border: 0; border-top: 1px solid var(--line); }
    `];
}
customElements.define('pop-menu', PopMenu);
