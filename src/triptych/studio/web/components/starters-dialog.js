// Pages to start from, each with its picture.
import {LitElement, css, html} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {fileAddress} from '../state/api.js';
import {commands, start} from '../state/commands.js';
import {starters} from '../state/server.js';
import {dialog} from '../state/ui.js';
import '../ui/modal.js';

export class StartersDialog extends LitElement {
    constructor() {
        super();
        new Watching(this, starters);
    }

    render() {
        return html`<modal-box wide heading="Start from a page"><ul>${starters.value.map((one, index) => html`<li>
            <button ?autofocus=${index === 0} @click=${() => { dialog.value = null; start(one); }}>
                <span class="picture">${one.picture ? html`<img src=${fileAddress(one.picture, 512)} alt="" loading="lazy" />` : ''}</span>
                <strong>${one.title}</strong><span class="quiet">${one.summary}</span>
            </button></li>`)}<li><button @click=${this._own}><span class="picture own">${icon('slot', 32)}</span><strong>Your own</strong><span class="quiet">An empty page. Drop a picture, say what is wanted.</span></button></li></ul></modal-box>`;
    }

    _own() {
        dialog.value = null;
        commands().find((one) => one.id === 'new')?.run();
    }

    static styles = [shared, css`
        ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: var(--space-5) var(--space-4); }
        button { display: grid; gap: 2px; width: 100%; padding: 0; border: 0; background: transparent; text-align: left; cursor: pointer; }
        .picture { display: block; aspect-ratio: 1; margin-bottom: var(--space-2); border-radius: var(--corner-picture); background: var(--well); overflow: hidden; transition: box-shadow var(--quick); }
        .own { display: grid; place-items: center; border: 1.5px dashed var(--line-strong); background: transparent; color: var(--ink-3); }
        img { width: 100%; height: 100%; object-fit: contain; }
        button:hover .picture { box-shadow: 0 0 0 2px var(--pencil); }
        strong { font: 500 var(--type-4)/1.3 var(--serif); }
        @media (max-width: 640px) { ul { grid-template-columns: 1fr 1fr; gap: var(--space-4) var(--space-3); } }
    `];
}
customElements.define('starters-dialog', StartersDialog);
