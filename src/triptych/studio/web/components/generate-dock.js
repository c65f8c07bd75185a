// What fills the slots: backbone, skills, seed, variants, live, and the button; always at the foot of the page.
import {LitElement, css, html, live, nothing} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {newSeed} from '../state/doc.js';
import {cancel, filling, generate, jobs} from '../state/jobs.js';
import {backboneOf, fits, hindrances, info, reads, skillName, skills} from '../state/server.js';
import {doc, place, steps, undo, redo} from '../state/studio.js';
import {go} from '../state/ui.js';
import {keyName, set} from '../state/commands.js';
import '../ui/pop-menu.js';

export class GenerateDock extends LitElement {
    static properties = {more: {state: true}};

    constructor() {
        super();
        this.more = false;
        new Watching(this, doc, info, jobs, skills, steps, place);
    }

    render() {
        const settings = doc.value.settings;
        const backbone = backboneOf(doc.value);
        const blocked = hindrances(doc.value).find((one) => one.blocks);
        const running = filling();
        const named = settings.skills.map((one) => skillName(one.id)).join(', ') || 'No skill';
        return html`<footer aria-label="Generate">
            ${this.more ? this._more(settings, backbone) : nothing}
            <div class="bar">
                <button class="icon undo" aria-label="Undo" title=${`Undo (${keyName('mod+z')})`} ?disabled=${!steps.value.back} @click=${undo}>${icon('undo')}</button>
                <button class="icon undo" aria-label="Redo" title=${`Redo (${keyName('mod+shift+z')})`} ?disabled=${!steps.value.forward} @click=${redo}>${icon('redo')}</button>
                <pop-menu label=${`Model: ${backbone?.name ?? ''}`} .items=${() => this._backbones()}><span class="button plain"><span class="name">${backbone?.name ?? info.value?.default_backbone ?? 'No model'}</span>${icon('down', 14)}</span></pop-menu>
                <pop-menu class="skills" label=${`Skills: ${named}`} .items=${() => this._skills()}><span class="button plain">${icon('teach')}<span class="name">${named}</span></span></pop-menu>
                <span class="fill"></span>
                <button class="icon" aria-expanded=${this.more} aria-label="More settings" title="Seed, steps, size, layout" @click=${() => (this.more = !this.more)}>${icon('settings')}</button>
                <button class="switch" role="switch" aria-checked=${settings.live} aria-label="Live: pictures while you type" title="Make pictures while you type (Alt L)" @click=${() => set({live: !settings.live})}>${icon('live')}<span>Live</span></button>
                <div class="variants" role="group" aria-label="Pictures for each slot">${[1, 2, 4].map((count) => html`<button aria-pressed=${settings.variants === count} title=${`${count} for each slot`} aria-label=${`${count} for each slot`} @click=${() => set({variants: count})}>${count}</button>`)}</div>
                ${running
                    ? html`<button class="button go" @click=${() => cancel(running.id)}>${icon('close')}Stop</button>`
                    : html`<button class="button main go" ?disabled=${Boolean(blocked)} title=${blocked?.text ?? `Fill the slots (${keyName('mod+enter')})`} @click=${() => generate()}>Generate</button>`}
            </div>
        </footer>`;
    }

    /** @param {import('../state/types.js').Settings} settings @param {import('../state/types.js').Backbone | null} backbone */
    _more(settings, backbone) {
        const sizes = backbone?.sizes ?? [];
        const number = (/** @type {Event} */ event) => Number(/** @type {HTMLInputElement} */ (event.target).value);
        return html`<div class="more">
            <label>Seed <span class="joined"><input class="field" inputmode="numeric" pattern="[0-9]*" .value=${live(String(settings.seed))} @change=${(/** @type {Event} */ event) => set({seed: Math.max(0, Math.floor(number(event)) || 0)})} />
                <button class="icon" aria-label="New seed" title="New seed (Alt S)" @click=${() => set({seed: newSeed()})}>${icon('dice')}</button></span></label>
            <label>Steps <input class="field" type="number" min="1" max="100" placeholder=${backbone?.steps ?? ''} .value=${live(settings.steps ? String(settings.steps) : '')} @change=${(/** @type {Event} */ event) => set({steps: number(event) || null, reading: null})} /></label>
            ${this._reading(settings, backbone)}
            <label>Size of slots <select class="field" @change=${(/** @type {Event} */ event) => set({size: /** @type {any} */ (JSON.parse(/** @type {HTMLSelectElement} */ (event.target).value))})}>
                <option value="null" ?selected=${!settings.size}>As the page</option>
                ${sizes.map((one) => (Array.isArray(one) ? one : [one, one])).map((one) => html`<option value=${JSON.stringify(one)} ?selected=${JSON.stringify(one) === JSON.stringify(settings.size)}>${one[0]} × ${one[1]}</option>`)}</select></label>
            <label>Layout <select class="field" @change=${(/** @type {Event} */ event) => this.dispatchEvent(new CustomEvent('layout', {bubbles: true, composed: true, detail: /** @type {HTMLSelectElement} */ (event.target).value}))}>
                ${[['auto', 'By itself'], ['row', 'One row'], ['column', 'One column'], ['grid', 'Grid']].map(([value, label]) => html`<option value=${value} ?selected=${doc.value.layout === value}>${label}</option>`)}</select></label>
            ${backbone && backbone.conditionings.length > 1 ? html`<label>Pictures enter by <select class="field" @change=${(/** @type {Event} */ event) => set({conditioning: /** @type {HTMLSelectElement} */ (event.target).value || null})}>
                <option value="">By itself</option>${backbone.conditionings.map((one) => html`<option ?selected=${settings.conditioning === one}>${one}</option>`)}</select></label>` : nothing}
            ${settings.skills.map((one) => html`<label>${skillName(one.id)}, weight <input class="field" type="number" min="0" max="2" step="0.1" .value=${live(String(one.weight))}
                @change=${(/** @type {Event} */ event) => set({skills: settings.skills.map((other) => (other.id === one.id ? {...other, weight: number(event)} : other))})} /></label>`)}
        </div>`;
    }

    /** @param {import('../state/types.js').Settings} settings @param {import('../state/types.js').Backbone | null} backbone */
    _reading(settings, backbone) {
        if (!backbone?.readings?.length) return nothing;
        const chosen = settings.reading ?? '';
        return html`<label>Where many are right <select class="field" @change=${(/** @type {Event} */ event) => set({reading: /** @type {HTMLSelectElement} */ (event.target).value || null, steps: null})}>
            ${[['', 'As the page asks'], ['mean', 'Their mean, exact but soft'], ['sample', 'One of them, by the seed']].map(([value, label]) => html`<option value=${value} ?selected=${chosen === value}>${label}</option>`)}</select></label>`;
    }

    _backbones() {
        return (info.value?.backbones ?? []).map((one) => ({
            label: one.name,
            detail: `${one.summary ? `For ${one.summary} · ` : ''}${one.is_loaded ? 'Loaded' : 'Loads when first used'} · ${reads(one)} · up to ${one.max_conditions} pictures, ${one.max_slots} slots${one.licence ? ` · ${one.licence}` : ''}`,
            checked: backboneOf(doc.value)?.name === one.name,
            run: () => set({backbone: one.name, size: null, steps: null, reading: null, conditioning: null}),
        }));
    }

    _skills() {
        const chosen = doc.value.settings.skills;
        const backbone = backboneOf(doc.value);
        /** @type {(import('../ui/pop-menu.js').MenuItem | null)[]} */
        const list = (skills.value ?? []).map((one) => ({
            label: one.name, detail: one.summary, checked: chosen.some((other) => other.id === one.id),
            disabled: !fits(one.backbone, backbone),
            run: () => set({skills: chosen.some((other) => other.id === one.id) ? chosen.filter((other) => other.id !== one.id) : [...chosen, {id: one.id, weight: 1}]}),
        }));
        return [...list, null, {label: 'Teach a new one', icon: 'teach', run: () => go('skills')}];
    }

    static styles = [shared, css`
        :host { position: fixed; inset: auto 0 0; z-index: 5; display: block; padding: 0 var(--space-3) max(var(--space-3), env(safe-area-inset-bottom)); pointer-events: none; }
        /* The sheet ends in a shade, not in halves of its last words. */
        :host::before { content: ''; position: absolute; z-index: -1; inset: auto 0 0; height: calc(100% + var(--space-5)); background: linear-gradient(to top, var(--table) 40%, transparent); }
        footer { max-width: 920px; margin: 0 auto; border-radius: 12px; background: var(--raised); box-shadow: var(--shadow-float); pointer-events: auto; }
        .bar { display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-1); padding: var(--space-2); }
        @media (min-width: 960px) { :host([tray]) { padding-left: calc(268px + var(--space-3)); } }
        @media (min-width: 1240px) { :host([queue]) { padding-right: calc(380px + var(--space-3)); } }
        .fill { flex: 1; }
        .name { max-width: 18ch; overflow: hidden; text-overflow: ellipsis; }
        .button.plain { padding: 0 var(--space-2); }
        .go { min-width: 108px; min-height: 40px; margin-left: var(--space-1); font-size: var(--type-3); }
        .switch { display: inline-flex; align-items: center; gap: var(--space-1); min-height: var(--hit); padding: 0 var(--space-2); border: 1px solid transparent; border-radius: var(--corner); background: transparent; color: var(--ink-3); font: 500 var(--type-2)/1 var(--sans); cursor: pointer; }
        .switch[aria-checked='true'] { color: var(--pencil); }
        .variants { display: inline-flex; border: 1px solid var(--line); border-radius: var(--corner); overflow: hidden; }
        .variants button { min-width: 30px; min-height: 34px; padding: 0; border: 0; background: transparent; color: var(--ink-2); font: 500 var(--type-2)/1 var(--sans); cursor: pointer; }
        .variants button:focus-visible { outline-offset: -2px; }
        .variants button[aria-pressed='true'] { background: var(--ink); color: var(--sheet); }
        .more { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: var(--space-3); padding: var(--space-4) var(--space-4) var(--space-3); border-bottom: 1px solid var(--line); max-height: 50dvh; overflow-y: auto; }
        .more label { display: grid; gap: var(--space-1); align-content: start; }
        .joined { display: flex; gap: var(--space-1); }
        @media (max-width: 640px) {
            :host { padding: 0; }
            :host::before { display: none; }
            footer { border-radius: 12px 12px 0 0; padding-bottom: env(safe-area-inset-bottom); }
            .name { max-width: 11ch; }
            .go { flex: 1; }
            .fill { flex-basis: 100%; height: 0; }
        }
    `];
}
customElements.define('generate-dock', GenerateDock);
