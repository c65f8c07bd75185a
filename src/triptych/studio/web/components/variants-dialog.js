// All pictures of one slot side by side, to choose from.
import {LitElement, css, html} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {fileAddress} from '../state/api.js';
import {changePanel} from '../state/doc.js';
import {picked} from '../state/gallery.js';
import {doc, edit} from '../state/studio.js';
import {dialog} from '../state/ui.js';
import '../ui/modal.js';

export class VariantsDialog extends LitElement {
    static properties = {key: {}};

    constructor() {
        super();
        this.key = '';
        new Watching(this, doc);
    }

    render() {
        const panel = doc.value.panels.find((one) => one.key === this.key);
        const variants = panel?.variants ?? [];
        return html`<modal-box wide heading="Side by side"><ul>${variants.map((one, index) => html`<li>
            <button aria-pressed=${panel?.chosen === index} aria-label=${`Take picture ${index + 1}, seed ${one.seed}`} @click=${() => this._choose(index)}><img src=${fileAddress(one.file, 1024)} alt=${`Picture ${index + 1}`} /></button>
            <span class="row spread"><span class="quiet">Seed ${one.seed}</span>${variants.length > 1 && panel?.chosen !== index && one.picture
                ? html`<button class="button plain" @click=${() => this._compare(index)}>${icon('compare', 16)}Compare</button>` : ''}</span></li>`)}</ul></modal-box>`;
    }

    /** @param {number} index */
    _choose(index) {
        picked(doc.value.panels.find((one) => one.key === this.key)?.variants[index]?.picture);
        edit((now) => changePanel(now, this.key, {chosen: index}));
        dialog.value = null;
    }

    /** @param {number} index */
    _compare(index) {
        const panel = doc.value.panels.find((one) => one.key === this.key);
        const pair = panel ? [panel.variants[panel.chosen], panel.variants[index]] : [];
        dialog.value = {name: 'compare', about: pair.map((one) => ({id: one.picture, file: one.file}))};
    }

    static styles = [shared, css`
        ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: var(--space-4); padding: 3px; }
        li > button { display: block; width: 100%; padding: 0; border: 0; border-radius: var(--corner-picture); background: var(--well); cursor: pointer; overflow: hidden; }
        li > button[aria-pressed='true'] { box-shadow: 0 0 0 3px var(--pencil); }
        li > button img { width: 100%; }
        .row { min-height: 40px; }
    `];
}
customElements.define('variants-dialog', VariantsDialog);
