// What to evaluate: the backbone alone, or with one of its skills.
import {LitElement, css, html} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {evaluate} from '../state/lab.js';
import {backboneOf, fits, loadSkills, skills} from '../state/server.js';
import {doc} from '../state/studio.js';
import '../ui/pop-menu.js';

export class EvaluateMenu extends LitElement {
    static properties = {on: {attribute: false}};

    constructor() {
        super();
        /** @type {{rule?: string, page_set?: string}} A rule, or a page set that was built. */
        this.on = {};
        new Watching(this, doc, skills);
        if (!skills.value) loadSkills().catch(() => {});
    }

    render() {
        return html`<pop-menu label="Evaluate" .items=${() => this._items()}><span class="button">${icon('check')}Evaluate${icon('down', 14)}</span></pop-menu>`;
    }

    _items() {
        const backbone = backboneOf(doc.value);
        const name = backbone?.name ?? 'the model';
        const own = (skills.value ?? []).filter((one) => fits(one.backbone, backbone));
        return [
            {label: `Evaluate ${name}`, detail: 'As it is, with and without examples', run: () => evaluate(this.on, null)},
            ...own.map((one) => ({label: `Evaluate ${name} with ${one.name}`, detail: one.summary, run: () => evaluate(this.on, one.id)})),
        ];
    }

    static styles = [shared, css`:host { display: inline-block; }`];
}
customElements.define('evaluate-menu', EvaluateMenu);
