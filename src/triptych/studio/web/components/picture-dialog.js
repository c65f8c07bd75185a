// One picture at large, with all that made it, and what can be done with it.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {address, api, fileAddress, words} from '../state/api.js';
import {insertPanels, newCondition} from '../state/doc.js';
import {bin, gallery, mark} from '../state/gallery.js';
import {skillName} from '../state/server.js';
import {edit, measure, openPage} from '../state/studio.js';
import {dialog, go} from '../state/ui.js';
import {moment} from '../ui/moment.js';
import '../ui/modal.js';

export class PictureDialog extends LitElement {
    static properties = {about: {attribute: false}, picture: {state: true}, error: {state: true}};

    constructor() {
        super();
        /** @type {{id: string}} */
        this.about = late();
        /** @type {any} */
        this.picture = null;
        this.error = '';
    }

    willUpdate(/** @type {Map<string, any>} */ changed) {
        if (changed.has('about')) this._load();
    }

    async _load() {
        try {
            this.picture = await api.get(`/api/pictures/${this.about.id}`);
        } catch (error) {
            this.error = words(error);
        }
    }

    render() {
        const one = this.picture;
        return html`<modal-box wide heading="Picture" @keydown=${this._keys}>
            ${this.error ? html`<p class="problem" role="alert">${this.error}</p>` : nothing}
            ${one ? html`<div class="two"><div class="large"><img src=${fileAddress(one.file)} alt=${one.prompt_words || 'Made picture'} /></div>
            <div class="about"><p class="words">${one.prompt_words || 'Made without words'}</p>
                <dl><dt>Made</dt><dd>${moment(one.created)}</dd><dt>Model</dt><dd>${one.backbone}</dd>
                    ${one.skills?.length ? html`<dt>Skills</dt><dd>${one.skills.map((/** @type {any} */ skill) => skillName(skill.id ?? skill)).join(', ')}</dd>` : nothing}
                    <dt>Seed</dt><dd>${one.seed}</dd><dt>Size</dt><dd>${one.width} × ${one.height} px</dd></dl>
                ${this._page(one)}
                <div class="row"><button class="button main" @click=${() => this._open(one)}>Open its page</button><button class="button" @click=${() => this._use(one)}>${icon('plus', 16)}Onto the page</button></div>
                <div class="row"><button class="button" aria-pressed=${one.favourite} @click=${() => this._mark({favourite: !one.favourite})}>${icon('star', 16)}${one.favourite ? 'No favourite' : 'Favourite'}</button>
                    <button class="button" @click=${() => this._mark({rejected: !one.rejected})}>${icon('reject', 16)}${one.rejected ? 'Not rejected' : 'Reject'}</button>
                    <button class="button danger" @click=${() => { bin([one.id]); dialog.value = null; }}>${icon('trash', 16)}Bin</button></div>
                <div class="row"><span class="label">Download</span>${[['png', 'Picture'], ['canvas', 'Canvas'], ['page', 'Page file']].map(([as, label]) => html`<a class="button plain" href=${address(`/api/pictures/${one.id}/download?as=${as}`)} download>${label}</a>`)}</div>
            </div></div>` : html`<p class="quiet">Loading</p>`}</modal-box>`;
    }

    /** The page with what was made in its slots, this picture among it. @param {any} one */
    _page(one) {
        /** @type {import('../state/types.js').WirePage | undefined} */
        const page = one.request?.page;
        if (!page) return nothing;
        return html`<div><span class="label">Its page</span><ul class="panels">${page.panels.map((panel, index) => {
            const file = panel.image ?? one.made?.[index] ?? panel.answer;
            const words = panel.instruction || (panel.image ? 'condition' : 'slot');
            return html`<li class=${index === one.slot ? 'own' : ''}>${file ? html`<img src=${fileAddress(file, 128)} alt=${words} title=${words} />` : html`<span title=${words}>${icon('slot', 16)}</span>`}</li>`;
        })}</ul></div>`;
    }

    /** @param {any} one */
    async _open(one) {
        openPage(one.request.page, one.request);
        dialog.value = null;
        go('page');
        await measure();
    }

    /** @param {any} one */
    _use(one) {
        edit((now) => insertPanels(now, [newCondition({id: one.file, width: one.width, height: one.height})], 0));
        dialog.value = null;
        go('page');
    }

    /** @param {{favourite?: boolean, rejected?: boolean}} some */
    _mark(some) {
        mark([this.picture.id], some);
        this.picture = {...this.picture, ...some};
    }

    /** @param {KeyboardEvent} event */
    _keys(event) {
        const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (!by) return;
        const all = gallery.value.chunks.flat();
        const next = all[all.findIndex((one) => one.id === this.about.id) + by];
        if (next && all.some((one) => one.id === this.about.id)) this.about = {id: next.id};
    }

    static styles = [shared, css`
        .two { display: grid; grid-template-columns: minmax(0, 1.5fr) minmax(260px, 1fr); gap: var(--space-5); }
        .large { display: grid; place-items: center; background: var(--well); border-radius: var(--corner-picture); min-height: 240px; }
        .large img { width: 100%; max-height: 66dvh; object-fit: contain; }
        .about { display: grid; gap: var(--space-4); align-content: start; }
        .words { font: 400 var(--type-5)/1.3 var(--serif); text-wrap: pretty; }
        dl { display: grid; grid-template-columns: 64px 1fr; gap: 2px var(--space-2); margin: 0; font-size: var(--type-2); }
        dt { color: var(--ink-3); }
        dd { margin: 0; overflow-wrap: anywhere; }
        .panels { display: flex; flex-wrap: wrap; gap: var(--space-1); margin-top: var(--space-1); }
        .panels img, .panels span { display: grid; place-items: center; width: 44px; height: 44px; object-fit: cover; background: var(--well); border-radius: var(--corner-picture); color: var(--ink-3); }
        .own { box-shadow: 0 0 0 2px var(--pencil); border-radius: var(--corner-picture); }
        @media (max-width: 760px) { .two { grid-template-columns: 1fr; } .large img { max-height: 46dvh; } }
    `];
}
customElements.define('picture-dialog', PictureDialog);
