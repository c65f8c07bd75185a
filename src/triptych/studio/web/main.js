// The studio's entry: takes up the last page or a starter, opens the stream of events, shows the app.
import './components/studio-app.js';
import {takeToken, words} from './state/api.js';
import {followKeys} from './state/commands.js';
import {listen} from './state/events.js';
import {followLive, loadJobs, markMade} from './state/jobs.js';
import {loadInfo, loadSkills, loadStarters, starters} from './state/server.js';
import {beginWith, doc, measure, resume} from './state/studio.js';
import {applyTheme, follow, say} from './state/ui.js';

async function begin() {
    takeToken();
    applyTheme();
    follow();
    followKeys();
    const hasPage = await resume();
    if (hasPage) markMade();
    followLive();
    listen();
    // What the model can do is known when its worker stands; the page does not wait for that.
    const asked = [loadInfo(), loadJobs(), loadSkills(), open(hasPage)];
    const failed = (await Promise.allSettled(asked)).find((one) => one.status === 'rejected');
    if (failed) say(words(/** @type {PromiseRejectedResult} */ (failed).reason), {kind: 'error'});
    document.documentElement.dataset.ready = 'true';
}

/** A first visit begins with a page that fills itself. @param {boolean} hasPage */
async function open(hasPage) {
    await loadStarters();
    if (!hasPage && starters.value.length && doc.value.panels.length === 1) beginWith(starters.value[0].page);
    await measure();
}

begin();
