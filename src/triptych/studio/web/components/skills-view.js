// The shelf: trainings as they run, skills with their pictures; renamed, described, exported, binned.
import {LitElement, css, html, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {address, api, fileAddress, words} from '../state/api.js';
import {isActive, jobs} from '../state/jobs.js';
import {loadSkills, skills} from '../state/server.js';
import {doc} from '../state/studio.js';
import {dialog, go, say} from '../state/ui.js';
import {set} from '../state/commands.js';
import {goOn, tune} from '../state/teach.js';
import '../ui/pop-menu.js';
import '../ui/view-problem.js';
import './training-card.js';

/** What a skill can be saved as, and what is said of it where it can. */
const EXPORTS = [
    ['diffusers', 'Export for diffusers'],
    ['kohya', 'Export for kohya'],
    ['comfyui', 'Export for ComfyUI'],
    ['comfyui-workflow', 'Workflow for ComfyUI', 'Nodes that load the export, for the page that it was taught'],
];

export class SkillsView extends LitElement {
    static properties = {editing: {state: true}, error: {state: true}};

    constructor() {
        super();
        this.editing = '';
        this.error = '';
        new Watching(this, skills, jobs);
        this._load();
    }

    async _load() {
        try {
            await loadSkills();
            this.error = '';
        } catch (error) {
            this.error = words(error);
        }
    }

    render() {
        const trainings = jobs.value.filter((one) => one.kind === 'train' && (isActive(one) || ['failed', 'cancelled'].includes(one.state))).slice(0, 6);
        return html`<main><header><div><h1>Skills</h1><p class="lead">About ten finished pages and a short training make a task reliable.</p></div>
                <button class="button main" @click=${() => (dialog.value = {name: 'teach'})}>${icon('teach')}Teach a skill</button></header>
            <view-problem .text=${this.error} @again=${this._load}></view-problem>
            ${repeat(trainings, (one) => one.id, (one) => html`<training-card .job=${one}></training-card>`)}
            ${skills.value === null ? html`<p class="quiet">${this.error ? '' : 'Loading'}</p>` : skills.value.length ? html`<ul class="shelf">${repeat(skills.value, (one) => one.id, (one) => this._skill(one))}</ul>`
                : html`<p class="nothing">No skill yet. Gather ten pages that show one task, and press Teach.</p>`}</main>`;
    }

    /** @param {import('../state/types.js').Skill} one */
    _skill(one) {
        const isOn = doc.value.settings.skills.some((other) => other.id === one.id);
        return html`<li><div class="picture">${one.picture ? html`<img src=${fileAddress(one.picture, 512)} alt=${`What ${one.name} does`} loading="lazy" />` : icon('teach', 32)}</div>
            ${this.editing === one.id ? html`<form @submit=${(/** @type {Event} */ event) => this._save(event, one.id)}><input class="field" name="name" aria-label="Name" maxlength="80" required .value=${one.name} />
                <textarea class="field" name="summary" aria-label="What it does" rows="3" maxlength="400" .value=${one.summary ?? ''}></textarea>
                <div class="row"><button class="button main">Save</button><button type="button" class="button plain" @click=${() => (this.editing = '')}>Cancel</button></div></form>` : html`
            <div class="head"><h2 class="name">${one.name}</h2><pop-menu label=${`More for ${one.name}`} .items=${() => this._more(one)}><span class="icon">${icon('more')}</span></pop-menu></div>
            <p class="summary">${one.summary || 'No description yet.'}</p>
            <p class="quiet small">${[one.backbone, one.pages ? `${one.pages} pages` : '', one.steps ? `${one.steps} steps` : ''].filter(Boolean).join(' · ')}</p>
            <button class="button" @click=${() => this._use(one, isOn)}>${isOn ? 'In use: to the page' : 'Use on the page'}</button>`}</li>`;
    }

    /** @param {import('../state/types.js').Skill} one @param {boolean} isOn */
    _use(one, isOn) {
        if (!isOn) set({skills: [...doc.value.settings.skills, {id: one.id, weight: 1}], ...(one.backbone ? {backbone: one.backbone} : {})});
        go('page');
    }

    /** @param {import('../state/types.js').Skill} one */
    _more(one) {
        return [
            ...(one.shipped ? [] : [{label: 'Rename and describe', icon: 'edit', run: () => (this.editing = one.id)}]),
            {label: 'Download the skill file', icon: 'download', run: () => this._fetch(`/api/skills/${one.id}/download`)},
            ...EXPORTS.map(([to, label, detail]) => ({label, icon: 'download', disabled: Boolean(one.exports?.[to]), detail: one.exports?.[to] ?? detail, run: () => this._export(one.id, to)})),
            ...(one.shipped || !one.steps ? [] : [{label: 'Teach it longer', icon: 'teach', detail: 'Half as many steps again; this one stays as it is', run: () => goOn({id: one.id, name: `${one.name}, longer`.slice(0, 80)}, Math.max(1, Math.round(one.steps / 2)))}]),
            ...(one.shipped ? [] : [{label: 'Teach from my picks', icon: 'star', detail: 'Tunes a copy to what you kept and rejected; this one stays as it is', run: () => tune(one)}]),
            ...(one.shipped ? [] : [null, {label: 'Move to the bin', icon: 'trash', run: () => this._remove(one)}]),
        ];
    }

    /** @param {string} path */
    _fetch(path) {
        const link = document.createElement('a');
        link.href = address(path);
        link.download = '';
        link.click();
    }

    /** @param {string} id @param {string} to */
    async _export(id, to) {
        try {
            this._fetch((await api.post(`/api/skills/${id}/export`, {to})).url);
        } catch (error) {
            say(words(error), {kind: 'error'});
        }
    }

    /** @param {Event} event @param {string} id */
    async _save(event, id) {
        event.preventDefault();
        const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
        try {
            await api.patch(`/api/skills/${id}`, {name: form.get('name'), summary: form.get('summary')});
            this.editing = '';
            await loadSkills();
        } catch (error) {
            say(words(error), {kind: 'error'});
        }
    }

    /** @param {import('../state/types.js').Skill} one */
    async _remove(one) {
        try {
            await api.remove(`/api/skills/${one.id}`);
            await loadSkills();
            say(`"${one.name}" is in the bin.`, {actions: [{label: 'Bring back', run: () => this._restore(one.id)}]});
        } catch (error) {
            say(words(error), {kind: 'error'});
        }
    }

    /** @param {string} id */
    async _restore(id) {
        try {
            await api.post(`/api/skills/${id}/restore`);
            await loadSkills();
        } catch (error) {
            say(words(error), {kind: 'error'});
        }
    }

    static styles = [shared, css`
        .name { font: 500 var(--type-4)/1.3 var(--serif); letter-spacing: 0; }
        main { max-width: 1240px; margin: 0 auto; padding: var(--space-6) var(--space-5) var(--space-8); }
        header { display: flex; flex-wrap: wrap; align-items: flex-end; justify-content: space-between; gap: var(--space-4); margin-bottom: var(--space-6); }
        h1 { font-size: var(--type-7); }
        .lead { margin-top: var(--space-1); color: var(--ink-2); }
        .shelf { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: var(--space-5); }
        .shelf li { display: flex; flex-direction: column; gap: var(--space-2); padding: var(--space-3) var(--space-3) var(--space-4); background: var(--sheet); border-radius: var(--corner-sheet); box-shadow: var(--shadow-sheet); }
        .picture { position: relative; display: grid; place-items: center; aspect-ratio: 1; background: var(--well); color: var(--ink-3); overflow: hidden; border-radius: var(--corner-picture); }
        .picture img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
        .head { display: flex; align-items: center; justify-content: space-between; gap: var(--space-2); min-width: 0; }
        .head h2 { overflow: hidden; text-overflow: ellipsis; }
        .summary { flex: 1; font-size: var(--type-2); color: var(--ink-2); }
        .shelf .button { align-self: flex-start; }
        form { display: grid; gap: var(--space-2); }
        .nothing { padding: var(--space-8) 0; text-align: center; font: italic 400 var(--type-4)/1.5 var(--serif); color: var(--ink-2); }
        @media (max-width: 640px) { main { padding: var(--space-4) var(--space-3) var(--space-7); } h1 { font-size: var(--type-6); } }
    `];
}
customElements.define('skills-view', SkillsView);
