// The pages of before, to open again.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {api, fileAddress, items, words} from '../state/api.js';
import {moment} from '../ui/moment.js';
import {markMade} from '../state/jobs.js';
import {openDocument, place} from '../state/studio.js';
import {dialog, go, say} from '../state/ui.js';
import '../ui/modal.js';

export class DocumentsDialog extends LitElement {
    static properties = {list: {state: true}, error: {state: true}};

    constructor() {
        super();
        /** @type {{id: string, title: string, updated: number, picture: string | null}[] | null} */
        this.list = null;
        this.error = '';
        this._load().then(() => this.updateComplete).then(() => /** @type {HTMLElement | null} */ (this.renderRoot.querySelector('.open'))?.focus());
    }

    async _load() {
        try {
            this.list = items(await api.get('/api/documents'));
        } catch (error) {
            this.error = words(error);
        }
    }

    render() {
        return html`<modal-box heading="Pages of before">
            ${this.error ? html`<p class="problem" role="alert">${this.error}</p>` : nothing}
            ${this.list && !this.list.length ? html`<p class="quiet">No page was kept yet.</p>` : nothing}
            <ul>${(this.list ?? []).map((one) => html`<li><button class="open" @click=${() => this._open(one.id)}><span class="picture">${one.picture ? html`<img src=${fileAddress(one.picture, 128)} alt="" loading="lazy" />` : icon('slot', 16)}</span><strong>${one.title}</strong><span class="quiet">${one.id === place.value.id ? 'This one' : moment(one.updated)}</span></button>
                <button class="icon" aria-label=${`Delete ${one.title}`} @click=${() => this._remove(one)}>${icon('trash', 16)}</button></li>`)}</ul></modal-box>`;
    }

    /** @param {string} id */
    async _open(id) {
        try {
            openDocument(await api.get(`/api/documents/${id}`));
            markMade();
            dialog.value = null;
            go('page');
        } catch (error) {
            this.error = words(error);
        }
    }

    /** @param {{id: string, title: string}} one */
    async _remove({id, title}) {
        try {
            await api.remove(`/api/documents/${id}`);
            await this._load();
            say(`"${title}" is deleted.`, {actions: [{label: 'Bring back', run: () => this._restore(id)}]});
        } catch (error) {
            this.error = words(error);
        }
    }

    /** @param {string} id */
    async _restore(id) {
        try {
            await api.post(`/api/documents/${id}/restore`);
            await this._load();
        } catch (error) {
            this.error = words(error);
        }
    }

    static styles = [shared, css`
        li { display: flex; align-items: center; border-bottom: 1px solid var(--line); }
        .open { flex: 1; min-width: 0; display: flex; align-items: center; gap: var(--space-3); padding: var(--space-2) var(--space-1); border: 0; background: transparent; text-align: left; cursor: pointer; }
        strong { flex: 1; min-width: 0; font: 400 var(--type-4)/1.3 var(--serif); }
        .picture { flex: none; display: grid; place-items: center; width: 48px; height: 48px; border-radius: var(--corner-picture); background: var(--well); color: var(--ink-3); overflow: hidden; }
        .picture img { width: 100%; height: 100%; object-fit: cover; }
        @media (max-width: 640px) { .open { flex-wrap: wrap; } .open .quiet { flex-basis: 100%; padding-left: 60px; margin-top: -6px; } }
        .quiet { flex: none; }
    `];
}
customElements.define('documents-dialog', DocumentsDialog);
