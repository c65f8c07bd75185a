// The studio's signs: one stroke, 18 px, drawn here.
import {svg} from '../vendor/lit.js';

/** @type {Record<string, string>} */
const PATHS = {
    plus: 'M9 3.500v11M3.500 9h11',
    grid: 'M3 3h5v5H3zM10 3h5v5h-5zM3 10h5v5H3zM10 10h5v5h-5z',
    minus: 'M3.500 9h11',
    close: 'M4.500 4.500l9 9M13.500 4.500l-9 9',
    check: 'M3.500 9.500l3.500 3.500 7.500-8',
    more: 'M4 9h.01M9 9h.01M14 9h.01',
    picture: 'M3 3.500h12v11H3zM3 12l3.500-3.500 3 3 2-2L15 12.500M11.500 6.500h.01',
    slot: 'M3 6V3.500h2.500M12.500 3.500H15V6M15 12v2.500h-2.500M5.500 14.500H3V12M9 6.500v5M6.500 9h5',
    boxes: 'M6 4.500h6M6 13.500h6M4.500 6v6M13.500 6v6M3 3h3v3H3zM12 3h3v3h-3zM3 12h3v3H3zM12 12h3v3h-3z',
    again: 'M14.500 7.500A6 6 0 1 0 15 10M15 3.500v4h-4',
    pin: 'M6 3h6M7 3v4l-2 3h8l-2-3V3M9 10v5',
    undo: 'M6.500 4L3 7.500 6.500 11M3 7.500h7.500a4 4 0 0 1 0 8H8',
    redo: 'M11.500 4L15 7.500 11.500 11M15 7.500H7.500a4 4 0 0 0 0 8H10',
    trash: 'M3.500 5h11M7 5V3h4v2M5 5l.7 10h6.600L13 5M7.500 8v4.500M10.500 8v4.500',
    left: 'M11 4L6 9l5 5',
    right: 'M7 4l5 5-5 5',
    up: 'M4 11l5-5 5 5',
    down: 'M4 7l5 5 5-5',
    grip: 'M7 4.500h.01M11 4.500h.01M7 9h.01M11 9h.01M7 13.500h.01M11 13.500h.01',
    star: 'M9 2.500l2 4.300 4.700.6-3.500 3.200.9 4.700L9 13l-4.100 2.300.9-4.700L2.300 7.400 7 6.800z',
    search: 'M8 13A5 5 0 1 0 8 3a5 5 0 0 0 0 10zM11.700 11.700L15 15',
    queue: 'M3 4.500h12M3 9h12M3 13.500h7',
    sun: 'M9 12a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM9 2v1.500M9 14.500V16M2 9h1.500M14.500 9H16M4 4l1 1M13 13l1 1M14 4l-1 1M5 13l-1 1',
    moon: 'M14.500 10.500A6 6 0 0 1 7.500 3.500a6 6 0 1 0 7 7z',
    dice: 'M3.500 3.500h11v11h-11zM6.500 6.500h.01M11.500 6.500h.01M9 9h.01M6.500 11.500h.01M11.500 11.500h.01',
    live: 'M9 10a1 1 0 1 0 0-2 1 1 0 0 0 0 2zM5.500 12.500a5 5 0 0 1 0-7M12.500 5.500a5 5 0 0 1 0 7M3.300 14.700a8 8 0 0 1 0-11.400M14.700 3.300a8 8 0 0 1 0 11.400',
    download: 'M9 3v8M5.500 8L9 11.500 12.500 8M3.500 15h11',
    teach: 'M2 6.500L9 3.500l7 3-7 3zM5 8v3.500c2 2 6 2 8 0V8M16 6.500V11',
    next: 'M3 4v10l6-5zM10 4v10l6-5z',
    compare: 'M9 2.500v13M3 4.500h4v9H3zM11 4.500h4v9h-4z',
    command: 'M6.500 6.500h5v5h-5zM6.500 6.500V5A1.700 1.700 0 1 0 4.800 6.500zM11.500 6.500H13A1.700 1.700 0 1 0 11.500 4.800zM11.500 11.500V13a1.700 1.700 0 1 0 1.700-1.500zM6.500 11.500H5A1.700 1.700 0 1 0 6.500 13.200z',
    settings: 'M3 5.500h6M13 5.500h2M11 3.800v3.400M3 12.500h2M9 12.500h6M7 10.800v3.400',
    warning: 'M9 2.500L16.500 15h-15zM9 7v4M9 13h.01',
    stack: 'M9 2.500l6.500 3.200L9 9 2.500 5.700zM2.500 9L9 12.300 15.500 9M2.500 12.300L9 15.500l6.500-3.200',
    arrow: 'M3 9h11M10.500 5.500L14 9l-3.500 3.500',
    menu: 'M3 5h12M3 9h12M3 13h12',
    reject: 'M9 15.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM4.500 4.500l9 9',
    edit: 'M3 15l.8-3.500L12 3.300 14.700 6 6.500 14.200zM10.500 4.800L13.200 7.500',
    corner: 'M15 6v9H6M15 11v4h-4',
    grow: 'M10.500 3H15v4.500M15 3l-5 5M7.500 15H3v-4.500M3 15l5-5',
};

/**
 * A sign by name; decoration only, its button says what it does.
 * @param {string} name
 * @param {number} [size]
 */
export function icon(name, size = 18) {
    return svg`<svg width=${size} height=${size} viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.400"
        stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}

/** The wordmark's three panels. */
export function mark() {
    return svg`<svg width="26" height="20" viewBox="0 0 26 20" aria-hidden="true" focusable="false">
        <path d="M1 3l6-2v18l-6-2z" fill="currentColor" /><path d="M8.500 1h9v18h-9z" fill="var(--pencil)" />
        <path d="M25 3l-6-2v18l6-2z" fill="currentColor" /></svg>`;
}
