// The browser's own database: what must outlive a reload without asking the server.

const NAME = 'triptych-studio';
const STORE = 'kept';

/** @type {Promise<IDBDatabase> | null} */
let opened = null;

function database() {
    opened ??= new Promise((resolve, reject) => {
        const request = indexedDB.open(NAME, 1);
        request.onupgradeneeded = () => request.result.createObjectStore(STORE);
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
    return opened;
}

/** @param {string} name @returns {Promise<any>} */
export async function recall(name) {
    try {
        const store = (await database()).transaction(STORE).objectStore(STORE);
        return await done(store.get(name));
    } catch {
        return undefined; // A private window may have no database; the page works without.
    }
}

/** @param {string} name @param {any} value */
export async function keep(name, value) {
    try {
        const store = (await database()).transaction(STORE, 'readwrite').objectStore(STORE);
        await done(store.put(value, name));
    } catch {
        // As above: what cannot be kept is lost at the next reload, and no sooner.
    }
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}
