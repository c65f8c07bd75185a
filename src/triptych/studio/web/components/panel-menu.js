// What can be done with a panel, as a menu: role, size, moves, keep, again, remove.
import {LitElement, css, html} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {copyPanel, takesBoxes} from '../state/boxes.js';
import {answer, changePanel, emptyPanel, isSlot, removePanel} from '../state/doc.js';
import {bring, pick} from '../state/files.js';
import {reroll} from '../state/jobs.js';
import {ROLES} from '../state/roles.js';
import {backboneOf} from '../state/server.js';
import {sizeOfAspect} from '../state/size.js';
import {doc, edit} from '../state/studio.js';
import {dialog} from '../state/ui.js';
import {moveBy, toggleBoxes, toggleKeep} from '../state/commands.js';
import '../ui/pop-menu.js';

const SHAPES = [['Square', 1], ['Landscape 4:3', 4 / 3], ['Wide 3:2', 3 / 2], ['Portrait 3:4', 3 / 4], ['Tall 2:3', 2 / 3]];

export class PanelMenu extends LitElement {
    static properties = {panel: {attribute: false}, index: {type: Number}, count: {type: Number}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Panel} */
        this.panel = late();
        this.index = 0;
        this.count = 1;
    }

    render() {
        return html`<pop-menu label=${`More for panel ${this.index + 1}`} .items=${() => this._items()}><span class="icon">${icon('more')}</span></pop-menu>`;
    }

    _items() {
        const panel = this.panel;
        const key = panel.key;
        const slot = isSlot(panel);
        /** @type {(import('../ui/pop-menu.js').MenuItem | null)[]} */
        const list = [];
        if (slot) {
            list.push({icon: 'again', label: 'Make this slot again', key: 'Alt R', run: () => reroll(key)});
            if (answer(panel)) {
                list.push({icon: 'pin', label: 'Keep as a condition', key: 'Alt K', run: () => toggleKeep(key)});
                list.push({icon: 'picture', label: 'Look at it, its request, download', run: () => (dialog.value = {name: 'picture', about: {id: answer(panel)?.picture, file: answer(panel)?.file}})});
            }
            list.push({icon: 'picture', label: 'Put a picture here', run: () => this._pick()});
        } else {
            if (panel.kept) list.push({icon: 'pin', label: 'Let go: a slot again', key: 'Alt K', run: () => toggleKeep(key)});
            list.push({icon: 'picture', label: 'Another picture', run: () => this._pick()});
            list.push({icon: 'slot', label: 'Take the picture out', run: () => edit((now) => emptyPanel(now, key))});
        }
        if (takesBoxes(panel, backboneOf(doc.value))) list.push({icon: 'boxes', label: slot ? 'Boxes: where things belong' : 'Boxes: where things are', key: 'Alt B', run: () => toggleBoxes(key)});
        list.push(null, ...(slot ? this._shapes() : this._roles()), null);
        if (this.index > 0) list.push({icon: 'left', label: 'Move back', key: 'Alt ←', run: () => moveBy(key, -1)});
        if (this.index < this.count - 1) list.push({icon: 'right', label: 'Move on', key: 'Alt →', run: () => moveBy(key, 1)});
        list.push({icon: 'plus', label: 'Copy', run: () => edit((now) => copyPanel(now, key))});
        list.push({icon: 'trash', label: 'Remove', key: 'Alt ⌫', run: () => edit((now) => removePanel(now, key))});
        return list;
    }

    _roles() {
        const known = backboneOf(doc.value)?.roles;
        return Object.entries(ROLES)
            .map(([role, {name: label}]) => ({
                label, checked: this.panel.role === role, disabled: Boolean(known?.length && !known.includes(role)),
                run: () => edit((now) => changePanel(now, this.panel.key, {role: /** @type {import('../state/types.js').Role} */ (role)})),
            }));
    }

    _shapes() {
        const backbone = backboneOf(doc.value);
        const own = {label: 'Shape: as the page', checked: !this.panel.width, run: () => edit((now) => changePanel(now, this.panel.key, {width: 0, height: 0}))};
        return [own, ...SHAPES.map(([name, ratio]) => {
            const [width, height] = sizeOfAspect(/** @type {number} */ (ratio), backbone);
            return {label: `${name}, ${width} × ${height}`, checked: this.panel.width === width && this.panel.height === height,
                run: () => edit((now) => changePanel(now, this.panel.key, {width, height}))};
        })];
    }

    async _pick() {
        const files = await pick();
        if (files.length) await bring(files, {key: this.panel.key});
    }

    static styles = [shared, css`
        :host { display: inline-block; }
        .icon { width: 32px; height: 32px; background: var(--raised); color: var(--ink); box-shadow: 0 0 0 1px var(--line); }
        .icon:hover:not(:disabled) { background: color-mix(in oklab, var(--ink) 8%, var(--raised)); }
    `];
}
customElements.define('panel-menu', PanelMenu);
