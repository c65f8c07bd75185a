// Every command, found by typing.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {commands, keyName} from '../state/commands.js';
import '../ui/modal.js';

export class CommandPalette extends LitElement {
    static properties = {query: {state: true}, at: {state: true}};

    constructor() {
        super();
        this.query = '';
        this.at = 0;
        this._all = commands().filter((one) => one.needs?.() !== false);
    }

    get _found() {
        const query = this.query.toLowerCase().trim();
        const parts = query.split(/\s+/).filter(Boolean);
        const found = this._all.filter((one) => parts.every((part) => `${one.label} ${one.group}`.toLowerCase().includes(part)));
        // What begins with the words stands first, then what holds them together; the rest keeps its order.
        const rank = (/** @type {{label: string}} */ {label}) => (label.toLowerCase().startsWith(query) ? 0 : label.toLowerCase().includes(query) ? 1 : 2);
        return query ? found.sort((a, b) => rank(a) - rank(b)) : found;
    }

    render() {
        const found = this._found;
        return html`<modal-box bare heading="Commands"><div class="box" @keydown=${this._keys}>
            <div class="ask">${icon('search')}<input role="combobox" aria-expanded="true" aria-controls="found" aria-label="Find a command" aria-activedescendant=${found.length ? `command-${this.at}` : nothing}
                autofocus placeholder="What would you like to do?" .value=${this.query} @input=${this._type} /></div>
            <ul id="found" role="listbox" aria-label="Commands">${found.map((one, index) => html`<li id=${`command-${index}`} role="option" aria-selected=${index === this.at}
                @click=${() => this._run(one)} @pointermove=${() => (this.at = index)}>${icon(one.icon ?? 'arrow', 16)}<span>${one.label}</span><span class="quiet">${one.group}</span>${one.key ? html`<kbd>${keyName(one.key)}</kbd>` : nothing}</li>`)}</ul>
            ${found.length ? nothing : html`<p class="quiet none">No command says "${this.query}".</p>`}
        </div></modal-box>`;
    }

    firstUpdated() {
        setTimeout(() => this.renderRoot.querySelector('input')?.focus());
    }

    updated() {
        this.renderRoot.querySelector('[aria-selected="true"]')?.scrollIntoView({block: 'nearest'});
    }

    /** @param {Event} event */
    _type(event) {
        this.query = /** @type {HTMLInputElement} */ (event.target).value;
        this.at = 0;
    }

    /** @param {KeyboardEvent} event */
    _keys(event) {
        const count = this._found.length;
        if (event.key === 'ArrowDown') this.at = (this.at + 1) % Math.max(1, count);
        else if (event.key === 'ArrowUp') this.at = (this.at - 1 + count) % Math.max(1, count);
        else if (event.key === 'Enter' && count) this._run(this._found[this.at]);
        else return;
        event.preventDefault();
    }

    /** @param {import('../state/commands.js').Command} command */
    _run(command) {
        /** @type {import('../ui/modal.js').ModalBox | null} */ (this.renderRoot.querySelector('modal-box'))?.close();
        command.run();
    }

    static styles = [shared, css`
        .box { display: flex; flex-direction: column; height: min(480px, 70dvh); }
        .ask { display: flex; align-items: center; gap: var(--space-3); padding: 0 var(--space-4); border-bottom: 1px solid var(--line); color: var(--ink-3); }
        input { flex: 1; min-width: 0; height: 54px; border: 0; background: transparent; color: var(--ink); font: 400 var(--type-4)/1 var(--serif); }
        input:focus-visible { outline: 0; }
        input::placeholder { color: var(--ink-3); font-style: italic; opacity: 1; }
        ul { flex: 1; overflow-y: auto; padding: var(--space-2); }
        li { display: flex; align-items: center; gap: var(--space-3); min-height: 38px; padding: 0 var(--space-3); border-radius: 5px; cursor: pointer; font-size: var(--type-2); }
        li[aria-selected='true'] { background: color-mix(in oklab, var(--ink) 8%, transparent); }
        li svg { color: var(--ink-2); flex: none; }
        li span:first-of-type { flex: 1; font-size: var(--type-3); }
        .none { padding: var(--space-5); position: absolute; top: 60px; }
    `];
}
customElements.define('command-palette', CommandPalette);
