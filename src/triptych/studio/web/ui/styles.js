// Styles that every component shares: the reset, buttons, fields, focus.
import {css} from '../vendor/lit.js';

export const shared = css`
    :host {
        box-sizing: border-box;
    }
    *,
    *::before,
    *::after {
        box-sizing: border-box;
    }
    :host([hidden]),
    [hidden] {
        display: none !important;
    }
    h1,
    h2,
    h3,
    p,
    ul,
    ol,
    figure,
    fieldset {
        margin: 0;
        padding: 0;
        border: 0;
        list-style: none;
        font: inherit;
    }
    h1,
    h2 {
        font: 400 var(--type-6) / 1.15 var(--serif);
        letter-spacing: -0.01em;
        text-wrap: balance;
    }
    h3 {
        font: 500 var(--type-4) / 1.3 var(--serif);
    }
    img {
        display: block;
        max-width: 100%;
    }
    button,
    input,
    select,
    textarea {
        font: inherit;
        color: inherit;
    }
    :focus-visible {
        outline: 2px solid var(--pencil);
        outline-offset: 2px;
    }
    .button {
        display: inline-flex;
        align-items: center;
        justify-content: center;
        gap: var(--space-2);
        min-height: var(--hit);
        padding: 0 var(--space-3);
        border: 1px solid var(--line);
        border-radius: var(--corner);
        background: var(--raised);
        color: var(--ink);
        font: 500 var(--type-2) / 1.2 var(--sans);
        text-decoration: none;
        white-space: nowrap;
        cursor: pointer;
        transition:
            background var(--quick),
            border-color var(--quick);
    }
    .button:hover:not(:disabled) {
        border-color: var(--line-strong);
    }
    .button:disabled {
        color: var(--ink-3);
        background: var(--well);
        cursor: not-allowed;
    }
    .button.main {
        border-color: transparent;
        background: var(--button);
        color: var(--on-button);
    }
    .button.main:hover:not(:disabled) {
        background: color-mix(in oklab, var(--button) 86%, var(--pencil));
    }
    .button.main:disabled {
        background: var(--well);
        border-color: var(--line);
        color: var(--ink-3);
    }
    .button.danger {
        color: var(--pencil);
    }
    .button.plain,
    .icon {
        border-color: transparent;
        background: transparent;
    }
    .button.plain:hover:not(:disabled),
    .icon:hover:not(:disabled) {
        border-color: transparent;
        background: color-mix(in oklab, var(--ink) 8%, transparent);
    }
    .icon {
        display: inline-grid;
        place-items: center;
        width: var(--hit);
        height: var(--hit);
        flex: none;
        padding: 0;
        border: 1px solid transparent;
        border-radius: var(--corner);
        color: var(--ink-2);
        cursor: pointer;
    }
    .icon[aria-pressed='true'] {
        color: var(--pencil);
    }
    .icon:disabled {
        color: var(--line-strong);
        cursor: not-allowed;
    }
    .field {
        width: 100%;
        min-height: var(--hit);
        padding: var(--space-2) var(--space-3);
        border: 1px solid var(--line-strong);
        border-radius: var(--corner);
        background: var(--sheet);
        font: 400 var(--type-3) / 1.3 var(--sans);
    }
    .field::placeholder {
        color: var(--ink-3);
        opacity: 1;
    }
    select.field {
        padding-right: var(--space-2);
    }
    label,
    .label {
        font: 500 var(--type-2) / 1.3 var(--sans);
        color: var(--ink-2);
    }
    .quiet {
        color: var(--ink-3);
        font-size: var(--type-2);
    }
    .small {
        font-size: var(--type-1);
    }
    .problem {
        display: flex;
        gap: var(--space-2);
        align-items: flex-start;
        padding: var(--space-2) var(--space-3);
        border-left: 3px solid var(--pencil);
        background: var(--pencil-soft);
        color: var(--ink);
        font-size: var(--type-2);
    }
    .problem svg {
        flex: none;
        margin-top: 1px;
        color: var(--pencil);
    }
    .note {
        padding: var(--space-2) var(--space-3);
        border-left: 3px solid var(--warn);
        background: var(--warn-soft);
        font-size: var(--type-2);
    }
    .for-readers {
        position: absolute;
        width: 1px;
        height: 1px;
        overflow: hidden;
        clip-path: inset(50%);
        white-space: nowrap;
    }
    .row {
        display: flex;
        align-items: center;
        gap: var(--space-2);
        flex-wrap: wrap;
    }
    .spread {
        justify-content: space-between;
    }
    kbd {
        padding: 1px 5px;
        border: 1px solid var(--line);
        border-radius: 4px;
        background: var(--well);
        font: 500 var(--type-1) / 1.4 var(--sans);
        color: var(--ink-2);
    }
    progress {
        appearance: none;
        width: 100%;
        height: 3px;
        border: 0;
        background: var(--line);
        border-radius: 2px;
        overflow: hidden;
    }
    progress::-webkit-progress-bar {
        background: var(--line);
    }
    progress::-webkit-progress-value {
        background: var(--pencil);
        transition: inline-size var(--calm);
    }
    progress::-moz-progress-bar {
        background: var(--pencil);
    }
`;
