// The studio's entry: takes up the last page or a starter, opens the stream of events, shows the app.
import './components/studio-app.js';
import {takeToken, words} from './state/api.js';
import {followKeys, start} from './state/commands.js';
import {listen} from './state/events.js';
import {followLive, loadJobs, markMade} from './state/jobs.js';
import {loadInfo, loadSkills, loadStarters, starters} from './state/server.js';
import {doc, measure, resume} from './state/studio.js';
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
    const asked = await Promise.allSettled([loadInfo(), loadStarters(), loadJobs(), loadSkills()]);
    const failed = asked.find((one) => one.status === 'rejected');
    if (failed) say(words(/** @type {PromiseRejectedResult} */ (failed).reason), {kind: 'error'});
    // A first visit begins with a page that fills itself.
    if (!hasPage && starters.value.length && doc.value.panels.length === 1) await start(starters.value[0]);
    else await measure();
    document.documentElement.dataset.ready = 'true';
}

begin();
