/** Formats a number for an axis: short, with enough digits to tell ticks apart. */
export function tick(value: number): string {
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e-4 && size < 1e6 ? String(+value.toPrecision(6)) : power(value, 3);
}

/** Formats a number for a tooltip or a table: four digits, or all digits of a whole number. */
export function exact(value: number): string {
    if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
    const size = Math.abs(value);
    return size >= 1e-4 && size < 1e6 ? value.toPrecision(size >= 1000 ? 6 : 4) : power(value, 4);
}

function power(value: number, digits: number): string {
    const [lead, exponent] = value.toExponential().split("e") as [string, string];
    return `${+(+lead).toPrecision(digits)}e${+exponent}`;
}

/** Shortens a name to a number of letters. */
export const shortened = (name: string, most: number): string =>
    name.length <= most ? name : `${name.slice(0, Math.max(1, most - 1))}\u2026`;
