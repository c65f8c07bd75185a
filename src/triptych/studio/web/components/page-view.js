// The page as it will be: overview, example rows, panels in their layout, and what can be added.
import {LitElement, classMap, css, html, live, nothing, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {vars} from '../ui/vars.js';
import {Watching} from '../state/signal.js';
import {MAX_LETTERS, answer, continueStory, isSlot, movePanel} from '../state/doc.js';
import {rowsOf} from '../state/layout.js';
import {PANEL_TYPE, bring, carriesPicture} from '../state/files.js';
import {connection} from '../state/events.js';
import {trouble} from '../state/jobs.js';
import {backboneOf, givenIn, hindrances, info, mostWords, reads} from '../state/server.js';
import {doc, edit, saved} from '../state/studio.js';
import {boxing, dialog, isQueueOpen, isTrayOpen, view} from '../state/ui.js';
import {addExample, addPictures, addSlot} from '../state/commands.js';
import './example-row.js';
import './generate-dock.js';
import './panel-card.js';
import './picture-tray.js';

/** How narrow and how wide a panel's frame may be, width by height. */
const MOST_LONG = [0.25, 4];

export class PageView extends LitElement {
    static properties = {target: {state: true}, width: {state: true}, height: {state: true}};

    constructor() {
        super();
        /** @type {number | null} Where a dragged panel or picture would go. */
        this.target = null;
        this.width = innerWidth;
        this.height = innerHeight;
        this._paste = this._paste.bind(this);
        this._resize = () => ([this.width, this.height] = [innerWidth, innerHeight]);
        new Watching(this, doc, info, trouble, saved, isTrayOpen, isQueueOpen, connection, boxing);
    }

    connectedCallback() {
        super.connectedCallback();
        document.addEventListener('paste', this._paste);
        addEventListener('resize', this._resize);
    }

    disconnectedCallback() {
        document.removeEventListener('paste', this._paste);
        removeEventListener('resize', this._resize);
        super.disconnectedCallback();
    }

    render() {
        const page = doc.value;
        return html`<main class=${isTrayOpen.value ? 'beside' : ''} @dragover=${this._dragOver} @dragleave=${this._dragLeave} @drop=${this._drop}>
            <h1 class="for-readers">Page</h1>
            <section class="sheet" aria-label="Page">
                <textarea class="overview" rows="1" aria-label="Overview: what the page as a whole is about" maxlength=${MAX_LETTERS}
                    placeholder="What is this page about?" .value=${live(page.overview)} @input=${this._overview}></textarea>
                ${this._reach()}
                ${this._notes()}
                ${page.context.length ? html`<section class="examples" aria-label="Example rows">
                    ${repeat(page.context, (one) => one.key, (one, index) => html`<example-row .example=${one} .index=${index}></example-row>`)}
                    <p class="quiet rule"><span>and now yours</span></p></section>` : nothing}
                ${this._rows()}
                ${this._adders()}
            </section>
        </main>
        ${isTrayOpen.value ? html`<picture-tray></picture-tray>` : nothing}
        <generate-dock ?tray=${isTrayOpen.value} ?queue=${isQueueOpen.value}></generate-dock>`;
    }

    /** What the model takes, where one begins to type. */
    _reach() {
        const backbone = backboneOf(doc.value);
        if (!backbone) return html`<p class="quiet reach"></p>`;
        const most = mostWords(backbone);
        const sizes = backbone.sizes.map((one) => (Array.isArray(one) ? one.join(' × ') : `${one} × ${one}`)).join(' or ');
        return html`<p class="quiet reach">${backbone.name} ${reads(backbone)}${most ? ` (about ${most} a panel)` : ''}, sees up to ${backbone.max_conditions} pictures and fills up to ${backbone.max_slots} slots${sizes ? ` of about ${sizes} px` : ''}.</p>`;
    }

    _notes() {
        const found = hindrances(doc.value);
        const shownTrouble = trouble.value && !trouble.value.panel ? trouble.value.text : null;
        return html`${shownTrouble ? html`<p class="problem" role="alert">${icon('warning', 16)}<span>${shownTrouble}</span></p>` : nothing}
            ${found.filter((one) => one.text !== shownTrouble && !one.inPlace).map((one) => html`<p class=${one.blocks ? 'problem' : 'note'}>${one.blocks ? icon('warning', 16) : nothing}<span class="said">${one.text}</span>${this._fix(one.fix)}</p>`)}`;
    }

    /** @param {import('../state/types.js').Hindrance['fix']} fix */
    _fix(fix) {
        return fix ? html`<button class="button" @click=${() => edit(fix.change)}>${fix.label}</button>` : nothing;
    }

    /** @param {import('../state/types.js').Panel} panel */
    _aspect(panel) {
        const made = answer(panel);
        if (panel.width && panel.height) return panel.width / panel.height;
        if (isSlot(panel) && made?.width && made.height) return made.width / made.height;
        const size = doc.value.settings.size;
        if (size) return size[0] / size[1];
        const first = doc.value.panels.find((one) => !isSlot(one) && one.width);
        return first ? first.width / first.height : 1;
    }

    _rows() {
        const {panels, layout} = doc.value;
        const backbone = backboneOf(doc.value);
        const inPlace = new Map(hindrances(doc.value).flatMap((one) => (one.inPlace && one.panel ? [[one.panel, one.text]] : [])));
        if (!panels.length) {
            return html`<p class="nothing">Nothing here yet. Drop pictures, add a slot, or <button class="button plain" @click=${() => (dialog.value = {name: 'starters'})}>start from a ready page</button>.</p>`;
        }
        // A strip of one pixel's width stands in a frame that one can see and press.
        const aspects = panels.map((panel) => Math.round(Math.max(MOST_LONG[0], Math.min(MOST_LONG[1], this._aspect(panel))) * 100) / 100);
        const narrow = this.width < 640 && layout !== 'row';
        const rows = narrow ? this._narrow(aspects) : rowsOf(aspects, layout);
        const row = new Map(rows.flatMap((those, number) => those.map((index) => [index, number])));
        // Panels that are alike stand in columns, as on the model's canvas; others fill their row.
        const isTable = layout === 'grid' || (!narrow && layout === 'auto' && new Set(aspects).size === 1);
        const shares = rows.map((those) => those.reduce((sum, index) => sum + aspects[index], 0));
        const widest = Math.max(...shares);
        const wanted = widest * this._side(rows.length) + 24 * (rows[0].length - 1);
        const most = this.width < 640 && panels.length > 1 ? 1144 : Math.min(1144, panels.length > 1 ? Math.max(580, wanted) : wanted);
        /** @type {HTMLElement | null} */ (this.renderRoot.querySelector('.sheet'))?.style.setProperty('--most', `${most}px`);
        return html`<div class="panels" role="list" aria-label="Panels" ${vars({'--most': `${most}px`})}>
            ${repeat(panels, (panel) => panel.key, (panel, index) => {
                const share = aspects[index] / (isTable ? widest : shares[row.get(index) ?? 0]);
                const count = rows[row.get(index) ?? 0].length;
                return html`<div role="listitem" class=${classMap({cell: true, before: this.target === index, after: this.target === panels.length && index === panels.length - 1})}
                    ${vars({'--aspect': String(aspects[index]), '--share': String(share), '--gaps': String(isTable ? rows[0].length - 1 : count - 1)})}>
                    <panel-card .panel=${panel} .index=${index} .count=${panels.length} .backbone=${backbone} .hindrance=${inPlace.get(panel.key) ?? ''}></panel-card></div>`;
            })}
        </div>`;
    }

    /** How high a row may be so that all of them are seen at once, within reason. @param {number} rows */
    _side(rows) {
        const examples = Math.ceil(doc.value.context.length / (this.width < 900 ? 1 : 2));
        const room = this.height - 56 - 100 - (this.width < 900 ? 120 : 160) - (examples ? 40 + 135 * examples : 0);
        return Math.max(260, Math.min(460, room / rows - 68));
    }

    /** Two in a row on a phone; wide ones alone, and the one that boxes are drawn on. @param {number[]} aspects */
    _narrow(aspects) {
        const isDrawnOn = (/** @type {number} */ index) => doc.value.panels[index]?.key === boxing.value?.panel;
        /** @type {number[][]} */
        const rows = [];
        aspects.forEach((aspect, index) => {
            const last = rows.at(-1);
            const sum = last?.reduce((total, one) => total + aspects[one], 0) ?? 9;
            if (last && last.length < 2 && sum + aspect <= 2.4 && ![index, index - 1].some(isDrawnOn)) last.push(index);
            else rows.push([index]);
        });
        return rows;
    }

    _adders() {
        const page = doc.value;
        const backbone = backboneOf(page);
        const slots = page.panels.filter(isSlot).length;
        const hasMade = page.panels.some((panel) => isSlot(panel) && answer(panel));
        return html`<div class="adders">
            <button class="button" @click=${addPictures}>${icon('picture')}Add picture</button>
            <button class="button" aria-expanded=${isTrayOpen.value} title="Pictures made before, to drag into a panel (Alt G)" @click=${() => (isTrayOpen.value = !isTrayOpen.value)}>${icon('grid')}Made before</button>
            <button class="button" @click=${addSlot} ?disabled=${Boolean(backbone && slots >= backbone.max_slots)}>${icon('slot')}Add slot</button>
            <button class="button" @click=${addExample} title="A finished pair that shows the task">${icon('stack')}Add example</button>
            ${hasMade ? html`<button class="button" @click=${() => edit((now) => continueStory(now))} title="Keep these pictures and add a slot that sees them all (Alt C)">${icon('arrow')}Continue the story</button>` : nothing}
            <p class="quiet facts">
            ${backbone ? html`<span title=${`Of what ${backbone.name} takes at most, examples included`}>${givenIn(page)}/${backbone.max_conditions} pictures · ${slots}/${backbone.max_slots} slots</span>` : nothing}
            <span role="status">${{saved: 'Saved', saving: 'Saving', unsaved: connection.value === 'lost' ? 'Kept in this window' : 'Saving', stale: 'Not saved'}[saved.value]}</span></p>
        </div>`;
    }

    /** @param {Event} event */
    _overview(event) {
        const area = /** @type {HTMLTextAreaElement} */ (event.target);
        edit((now) => ({...now, overview: area.value}), {name: 'overview'});
    }

    updated() {
        const area = /** @type {HTMLTextAreaElement} */ (this.renderRoot.querySelector('.overview'));
        area.style.height = 'auto';
        area.style.height = `${area.scrollHeight}px`;
    }

    /** @param {ClipboardEvent} event */
    _paste(event) {
        if (view.value !== 'page' || dialog.value) return;
        const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith('image/'));
        if (!files.length) return;
        event.preventDefault();
        bring(files);
    }

    /** @param {DragEvent} event */
    _dragOver(event) {
        const movesPanel = event.dataTransfer?.types.includes(PANEL_TYPE);
        if (!movesPanel && !carriesPicture(event.dataTransfer)) return;
        event.preventDefault();
        this.target = this._place(event);
    }

    /** @param {DragEvent} event */
    _dragLeave(event) {
        if (!this.contains(/** @type {Node | null} */ (event.relatedTarget))) this.target = null;
    }

    /** The place in the row of panels that the pointer is at. @param {DragEvent} event */
    _place(event) {
        const cells = [...this.renderRoot.querySelectorAll('.cell')];
        for (const [index, cell] of cells.entries()) {
            const box = cell.getBoundingClientRect();
            if (event.clientY > box.bottom + 12) continue;
            if (event.clientY < box.top || event.clientX < box.left + box.width / 2) return index;
        }
        return cells.length;
    }

    /** @param {DragEvent} event */
    _drop(event) {
        const transfer = event.dataTransfer;
        const to = this._place(event);
        this.target = null;
        if (!transfer) return;
        event.preventDefault();
        const key = transfer.getData(PANEL_TYPE);
        const from = doc.value.panels.findIndex((panel) => panel.key === key);
        if (from >= 0) edit((now) => movePanel(now, key, to > from ? to - 1 : to));
        else if (carriesPicture(transfer)) bring(transfer, {at: to});
    }

    static styles = [shared, css`
        :host { display: block; }
        main { padding: var(--space-6) var(--space-5) 140px; min-height: calc(100dvh - var(--bar)); }
        .sheet { max-width: max(676px, calc(var(--most, 900px) + 2 * var(--space-7))); margin: 0 auto; padding: var(--space-7) var(--space-7) var(--space-5); background: var(--sheet); border-radius: var(--corner-sheet); box-shadow: var(--shadow-sheet); }
        .overview { display: block; width: 100%; margin-bottom: var(--space-2); padding: 0; border: 0; background: transparent; resize: none; overflow: hidden;
            font: 400 var(--type-7)/1.15 var(--serif); letter-spacing: -0.015em; field-sizing: content; }
        .reach { margin-bottom: var(--space-5); min-height: 1lh; text-wrap: pretty; }
        .overview::placeholder { color: var(--ink-3); font-style: italic; opacity: 1; }
        .overview:focus { outline: 0; box-shadow: 0 1.5px 0 var(--pencil); }
        .panels { --gap: var(--space-5); display: flex; flex-wrap: wrap; gap: var(--space-6) var(--gap); max-width: var(--most); }
        .cell { position: relative; flex: none; min-width: 0; width: calc((100% - var(--gaps) * var(--gap)) * var(--share) - 0.1px); }
        .cell.before::before, .cell.after::after { content: ''; position: absolute; top: 0; bottom: var(--space-6); width: 3px; border-radius: 2px; background: var(--pencil); }
        .cell.before::before { left: calc(var(--gap) / -2 - 1px); }
        .cell.after::after { right: calc(var(--gap) / -2 - 1px); }
        .nothing { padding: var(--space-7) 0; text-align: center; color: var(--ink-2); }
        .nothing .button { display: inline; text-decoration: underline; padding: 0; min-height: 0; font-size: inherit; }
        .problem, .note { margin-bottom: var(--space-4); }
        .problem:has(.button) { flex-wrap: wrap; }
        .said { flex: 1 1 32ch; }
        .examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: var(--space-4) var(--space-5); margin-bottom: var(--space-5); }
        .rule { grid-column: 1 / -1; display: flex; align-items: center; gap: var(--space-4); font: italic 400 var(--type-3)/1 var(--serif); }
        .rule::before, .rule::after { content: ''; flex: 1; border-top: 1px solid var(--line); }
        .adders { display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-2); margin-top: var(--space-6); padding-top: var(--space-4); border-top: 1px solid var(--line); }
        .adders { gap: var(--space-1); }
        .adders .button { padding: 0 var(--space-2); gap: 6px; }
        .facts { display: flex; flex-basis: 100%; justify-content: space-between; gap: var(--space-3); padding-top: var(--space-1); font-variant-numeric: tabular-nums; }
        @media (min-width: 641px) { .beside { padding-left: calc(268px + var(--space-4)); } }
        @media (max-width: 900px) { main { padding: var(--space-4) var(--space-4) 140px; } .sheet { max-width: max(628px, calc(var(--most, 900px) + 2 * var(--space-5))); padding: var(--space-5); } }
        @media (max-width: 640px) {
            main { padding: var(--space-2) var(--space-2) 190px; }
            .sheet { padding: var(--space-4); }
            .overview { font-size: var(--type-6); }
            .reach { margin-bottom: var(--space-4); }
            .panels { --gap: var(--space-3); row-gap: var(--space-5); }
        }
    `];
}
customElements.define('page-view', PageView);
