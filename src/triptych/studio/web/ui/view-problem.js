// What went wrong with a view, and the way to try again; by itself once the studio, which did not answer, is back.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon} from './icons.js';
import {shared} from './styles.js';
import {OFFLINE} from '../state/api.js';
import {connection} from '../state/events.js';
import {Watching} from '../state/signal.js';

export class ViewProblem extends LitElement {
    static properties = {text: {}};

    constructor() {
        super();
        this.text = '';
        new Watching(this, connection);
    }

    connectedCallback() {
        super.connectedCallback();
        this._end = connection.watch((now) => now === 'open' && this.text && this._again());
    }

    disconnectedCallback() {
        this._end?.();
        super.disconnectedCallback();
    }

    render() {
        // That nobody answers is said once, over all views.
        if (!this.text || (this.text === OFFLINE && connection.value === 'lost')) return nothing;
        return html`<p class="problem" role="alert">${icon('warning', 16)}<span>${this.text}</span><button class="button" @click=${this._again}>Try again</button></p>`;
    }

    _again() {
        this.dispatchEvent(new CustomEvent('again'));
    }

    static styles = [shared, css`
        :host { display: block; }
        .problem { flex-wrap: wrap; align-items: center; margin-bottom: var(--space-4); }
        .problem svg { margin-top: 0; }
    `];
}
/** @type {any} */ (ViewProblem.prototype)._end = () => {};
customElements.define('view-problem', ViewProblem);
