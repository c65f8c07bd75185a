// Values that tell who watches them; all state of the page is made of these.

/**
 * @template T
 */
export class Signal {
    /** @param {T} value */
    constructor(value) {
        this._value = value;
        /** @type {Set<(value: T) => void>} */
        this._watchers = new Set();
    }

    get value() {
        return this._value;
    }

    set value(value) {
        if (value === this._value) return;
        this._value = value;
        for (const watcher of [...this._watchers]) watcher(value);
    }

    /**
     * Calls `watcher` at every change; gives back what ends that.
     * @param {(value: T) => void} watcher
     */
    watch(watcher) {
        this._watchers.add(watcher);
        return () => this._watchers.delete(watcher);
    }
}

/**
 * @template T
 * @param {T} value
 */
export function signal(value) {
    return new Signal(value);
}

/** Renders its component anew whenever one of the signals changes. */
export class Watching {
    /**
     * @param {import('../vendor/lit.js').ReactiveControllerHost} host
     * @param {...Signal<any>} signals
     */
    constructor(host, ...signals) {
        this._host = host;
        this._signals = signals;
        /** @type {(() => void)[]} */
        this._ends = [];
        host.addController(this);
    }

    hostConnected() {
        this._ends = this._signals.map((one) => one.watch(() => this._host.requestUpdate()));
        this._host.requestUpdate();
    }

    hostDisconnected() {
        for (const end of this._ends) end();
        this._ends = [];
    }
}
