// The pictures that a slot could have: those that were made, to choose from, or those that are being made.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {fileAddress} from '../state/api.js';
import {changePanel} from '../state/doc.js';
import {previews} from '../state/jobs.js';
import {edit} from '../state/studio.js';
import {dialog} from '../state/ui.js';

export class VariantStrip extends LitElement {
    static properties = {panel: {attribute: false}, index: {type: Number}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Panel} */
        this.panel = late();
        this.index = 0;
        new Watching(this, previews);
    }

    render() {
        const {variants, chosen, key} = this.panel;
        const coming = previews.value.get(key)?.urls ?? [];
        if (coming.length > 1) {
            return html`<div class="strip" role="group" aria-label=${`Pictures for slot ${this.index + 1}, being made`}>${coming.map((url) => html`<span>${url ? html`<img src=${url} alt="" />` : nothing}</span>`)}</div>`;
        }
        if (variants.length < 2) return nothing;
        return html`<div class="strip" role="group" aria-label=${`Pictures for slot ${this.index + 1}`}>
            ${variants.map((one, number) => html`<button aria-pressed=${number === chosen} aria-label=${`Picture ${number + 1}, seed ${one.seed}`}
                title=${`Seed ${one.seed}`} @click=${() => edit((now) => changePanel(now, key, {chosen: number}), {name: `choose ${key}`})}>
                <img src=${fileAddress(one.file, 128)} alt="" loading="lazy" /></button>`)}
            <button class="icon side" title="Side by side" aria-label="Show these pictures side by side" @click=${() => (dialog.value = {name: 'variants', about: key})}>${icon('grow', 16)}</button>
        </div>`;
    }

    static styles = [shared, css`
        :host { display: block; }
        .strip { display: flex; gap: var(--space-1); padding-top: var(--space-2); overflow-x: auto; }
        .strip button:not(.icon), .strip span { flex: none; width: 44px; height: 44px; padding: 0; border: 1.5px solid transparent; border-radius: 3px; background: var(--well); overflow: hidden; }
        .strip button { cursor: pointer; }
        .strip button[aria-pressed='true'] { border-color: var(--pencil); }
        .strip img { width: 100%; height: 100%; object-fit: cover; }
    `];
}
customElements.define('variant-strip', VariantStrip);
