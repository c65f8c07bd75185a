// Custom properties on an element, set by script: a `style` attribute, as Lit's styleMap first writes, is what a strict CSP refuses.
import {Directive, directive, noChange} from '../vendor/lit.js';

class Vars extends Directive {
    /** @param {Record<string, string>} values */
    render(values) {
        void values;
        return noChange;
    }

    /** @param {import('../vendor/lit.js').ElementPart} part @param {[Record<string, string>]} values */
    update(part, [values]) {
        const {style} = /** @type {HTMLElement} */ (part.element);
        for (const [name, value] of Object.entries(values)) style.setProperty(name, value);
        return noChange;
    }
}

/** In the place of an attribute: `<div ${vars({'--at': '50%'})}>`. */
export const vars = directive(Vars);
