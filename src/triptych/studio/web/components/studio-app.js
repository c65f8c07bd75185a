// The app: head, the view that is chosen, the dialog that is open, the queue, and messages.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {OFFLINE} from '../state/api.js';
import {connection} from '../state/events.js';
import {bring, carriesPicture, openFrom, picturesIn} from '../state/files.js';
import {edit} from '../state/studio.js';
import {addDropped, holdsFolders} from '../state/teach.js';
import {dialog, isQueueOpen, view} from '../state/ui.js';
import './command-palette.js';
import './compare-dialog.js';
import './documents-dialog.js';
import './gallery-view.js';
import './message-stack.js';
import './page-view.js';
import './picture-dialog.js';
import './queue-drawer.js';
import './rules-view.js';
import './skills-view.js';
import './starters-dialog.js';
import './teach-dialog.js';
import './top-bar.js';
import './variants-dialog.js';

export class StudioApp extends LitElement {
    constructor() {
        super();
        new Watching(this, view, dialog, isQueueOpen, connection);
        this.addEventListener('layout', (event) => {
            const layout = /** @type {CustomEvent} */ (event).detail;
            edit((now) => ({...now, layout}));
        });
        addEventListener('dragover', (event) => {
            if (carriesPicture(event.dataTransfer)) event.preventDefault();
        });
        addEventListener('drop', (event) => this._dropFolders(event), true);
        addEventListener('drop', (event) => this._drop(event));
    }

    render() {
        return html`<nav aria-label="Skip"><a class="skip button" href="#content" @click=${this._skip}>To the content</a></nav>
            <top-bar></top-bar>
            ${connection.value === 'lost' ? html`<p class="problem lost" role="alert">${icon('warning', 16)}<span>${OFFLINE}. What you write is kept in this window meanwhile, and saved when it is back.</span></p>` : nothing}
            <div id="content" tabindex="-1">${this._view()}</div>
            ${isQueueOpen.value ? html`<queue-drawer></queue-drawer>` : nothing}
            ${this._dialog()}
            ${dialog.value ? nothing : html`<message-stack></message-stack>`}`;
    }

    _view() {
        switch (view.value) {
            case 'gallery': return html`<gallery-view></gallery-view>`;
            case 'skills': return html`<skills-view></skills-view>`;
            case 'rules': return html`<rules-view></rules-view>`;
            default: return html`<page-view></page-view>`;
        }
    }

    _dialog() {
        const about = dialog.value?.about;
        switch (dialog.value?.name) {
            case 'palette': return html`<command-palette></command-palette>`;
            case 'starters': return html`<starters-dialog></starters-dialog>`;
            case 'documents': return html`<documents-dialog></documents-dialog>`;
            case 'variants': return html`<variants-dialog .key=${about}></variants-dialog>`;
            case 'picture': return html`<picture-dialog .about=${about}></picture-dialog>`;
            case 'compare': return html`<compare-dialog .about=${about}></compare-dialog>`;
            case 'teach': return html`<teach-dialog></teach-dialog>`;
            default: return nothing;
        }
    }

    /** @param {Event} event */
    _skip(event) {
        event.preventDefault();
        /** @type {HTMLElement | null} */ (this.renderRoot.querySelector('#content'))?.focus();
    }

    /** Two folders are pairs to learn from, wherever they fall. @param {DragEvent} event */
    _dropFolders(event) {
        if (!event.dataTransfer || !holdsFolders(event.dataTransfer)) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        dialog.value = {name: 'teach'};
        addDropped(event.dataTransfer);
    }

    /** What no panel took: on the page it is added, elsewhere its page is opened. @param {DragEvent} event */
    _drop(event) {
        if (event.defaultPrevented || !event.dataTransfer?.files.length) return;
        event.preventDefault();
        const files = picturesIn(event.dataTransfer);
        if (view.value === 'page') bring(event.dataTransfer);
        else if (files.length) openFrom(files[0]);
    }

    static styles = [shared, css`
        :host { display: block; }
        .lost { position: sticky; z-index: 5; top: var(--bar); padding: var(--space-2) var(--space-5); }
        #content { outline: 0; }
        .skip { position: fixed; z-index: 9; top: var(--space-2); left: 50%; transform: translateX(-50%); }
        .skip:not(:focus) { clip-path: inset(50%); width: 1px; height: 1px; min-height: 0; overflow: hidden; }
    `];
}
customElements.define('studio-app', StudioApp);
