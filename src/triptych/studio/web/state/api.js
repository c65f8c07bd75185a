// The server, asked: JSON in and out, errors as `ApiError` in the server's own words.

const TOKEN = 'triptych-token';

export const OFFLINE = 'The studio does not answer. Is it still running? Start it again with: triptych studio';

/** What the server refused, or that it could not be reached. */
export class ApiError extends Error {
    /**
     * @param {string} message
     * @param {{code?: string, status?: number, where?: string | null, body?: any}} [more]
     */
    constructor(message, {code = 'unknown', status = 0, where = null, body = null} = {}) {
        super(message);
        this.code = code;
        this.status = status;
        this.where = where;
        this.body = body;
    }
}

/** Takes `?token=` off the address and keeps it for this window. */
export function takeToken() {
    const address = new URL(location.href);
    const token = address.searchParams.get('token');
    if (!token) return;
    sessionStorage.setItem(TOKEN, token);
    address.searchParams.delete('token');
    history.replaceState(null, '', address);
}

/**
 * The address of something that the browser itself loads, with the token where one is needed.
 * @param {string} path
 */
export function address(path) {
    const token = sessionStorage.getItem(TOKEN);
    return token ? `${path}${path.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}` : path;
}

/**
 * @param {string | null} file SHA-256, or a `file:` reference or address of one.
 * @param {number} [width]
 */
export function fileAddress(file, width) {
    if (!file) return '';
    const id = fileId(file);
    return address(`/api/files/${id}${width ? `?w=${width}` : ''}`);
}

/** @param {string} reference */
export function fileId(reference) {
    return reference.replace(/^file:/, '').replace(/^\/api\/files\//, '').replace(/\?.*$/, '');
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{json?: any, body?: BodyInit, type?: string, signal?: AbortSignal}} [what]
 */
async function ask(method, path, {json, body, type, signal} = {}) {
    /** @type {Record<string, string>} */
    const headers = {'X-Triptych': '1'};
    const token = sessionStorage.getItem(TOKEN);
    if (token) headers.Authorization = `Bearer ${token}`;
    if (json !== undefined) headers['Content-Type'] = 'application/json';
    else if (type) headers['Content-Type'] = type;
    let answer;
    try {
        answer = await fetch(path, {method, headers, body: json === undefined ? body : JSON.stringify(json), signal});
    } catch (error) {
        if (signal?.aborted) throw error;
        throw new ApiError(OFFLINE, {code: 'offline'});
    }
    if (!answer.ok) throw await refusal(answer);
    return answer;
}

/** @param {Response} answer */
async function refusal(answer) {
    let data = null;
    try {
        data = await answer.json();
    } catch {
        // An answer without JSON says no more than its status.
    }
    const told = data?.error;
    return new ApiError(sentence(told?.message ?? `The studio answered ${answer.status} ${answer.statusText}.`), {
        code: told?.code,
        status: answer.status,
        where: told?.where ?? null,
        body: data,
    });
}

/** @param {string} text */
export function sentence(text) {
    return text ? text[0].toUpperCase() + text.slice(1) : text;
}

/** @param {any} error */
export function words(error) {
    if (!error) return '';
    if (typeof error === 'string') return sentence(error);
    return sentence(String(error.message ?? error));
}

export const api = {
    /** @param {string} path */
    async get(path, signal = /** @type {AbortSignal | undefined} */ (undefined)) {
        return (await ask('GET', path, {signal})).json();
    },
    /** @param {string} path @param {any} [json] */
    async post(path, json = {}) {
        return (await ask('POST', path, {json})).json();
    },
    /** @param {string} path @param {any} json */
    async put(path, json) {
        return (await ask('PUT', path, {json})).json();
    },
    /** @param {string} path @param {any} json */
    async patch(path, json) {
        return (await ask('PATCH', path, {json})).json();
    },
    /** @param {string} path */
    async remove(path) {
        const answer = await ask('DELETE', path);
        return answer.status === 204 ? null : answer.json().catch(() => null);
    },
    /** @param {string} path @param {Blob} blob */
    async send(path, blob) {
        return (await ask('POST', path, {body: blob, type: blob.type || 'application/octet-stream'})).json();
    },
    /** @param {string} path @param {any} json */
    async blob(path, json) {
        return (await ask('POST', path, {json})).blob();
    },
};

/**
 * What a list is called by the server: its items, whether bare or in an object.
 * @param {any} answer
 * @returns {any[]}
 */
export function items(answer) {
    return Array.isArray(answer) ? answer : (answer?.items ?? []);
}
