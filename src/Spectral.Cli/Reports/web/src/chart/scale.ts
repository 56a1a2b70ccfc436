import type { Axis } from "../model";

/** An axis with its range and ticks, as it is drawn. */
export interface Fitted {
    type: "linear" | "log";
    domain: [number, number];
    ticks: number[];
    label: string;
    /** Returns the value, or the nearest end of the axis. */
    clamp(value: number): number;
}

// Beyond this ratio of the largest value to the smallest, small values are flat on a linear axis.
const MOST_LINEAR = 20;

/** Makes an axis whose range contains all values. */
export function fit(axis: Axis, values: number[], wanted = 5): Fitted {
    const positive = values.filter((value) => value > 0);
    const logarithmic =
        axis.scale === "log"
            ? positive.length > 0
            : (axis.scale ?? "auto") === "auto" &&
              values.length > 0 &&
              positive.length === values.length &&
              Math.max(...range(values)) / Math.min(...range(values)) > MOST_LINEAR;
    return logarithmic ? logAxis(axis, range(positive)) : linearAxis(axis, range(values), wanted);
}

/** Makes a horizontal axis from the first value to the last, without a margin. */
export function across(axis: Axis, values: number[], wanted: number): Fitted {
    const [low, high] = widened(range(values));
    if (axis.scale === "log" && low > 0) {
        const round = logAxis(axis, [low, high]);
        return fitted(
            "log",
            [low, high],
            round.ticks.filter((value) => value >= low && value <= high),
            axis.label,
        );
    }
    const stride = strideOf(low, high, wanted);
    return fitted(
        "linear",
        [low, high],
        multiples(low, high, values.every(Number.isInteger) ? Math.max(1, stride) : stride),
        axis.label,
    );
}

function linearAxis(axis: Axis, [least, most]: [number, number], wanted: number): Fitted {
    const [low, high] = widened(axis.zero === false ? [least, most] : [Math.min(0, least), Math.max(0, most)]);
    const stride = strideOf(low, high, wanted);
    const ends: [number, number] = [Math.floor(low / stride + 1e-9) * stride, Math.ceil(high / stride - 1e-9) * stride];
    return fitted("linear", ends, multiples(...ends, stride), axis.label);
}

function logAxis(axis: Axis, [least, most]: [number, number]): Fitted {
    const low = round(least, Math.floor);
    const high = Math.max(round(most, Math.ceil), low * 10);
    const leads = Math.log10(high / low) <= 2.5 ? [1, 2, 5] : [1];
    const stride = Math.max(1, Math.ceil(Math.log10(high / low) / 7));
    const ticks: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high) + 1e-9; power += stride)
        for (const lead of leads) {
            const value = lead * 10 ** power;
            if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.push(value);
        }
    return fitted("log", [low, high], ticks, `${axis.label}, logarithmic`);
}

function fitted(type: Fitted["type"], domain: [number, number], ticks: number[], label: string): Fitted {
    return { type, domain, ticks, label, clamp: (value) => Math.min(Math.max(value, domain[0]), domain[1]) };
}

/** The smallest and the largest value. Math.min(...values) fails for very many. */
export function range(values: number[]): [number, number] {
    let low = Infinity;
    let high = -Infinity;
    for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
    }
    return low <= high ? [low, high] : [0, 1];
}

const widened = ([low, high]: [number, number]): [number, number] =>
    high > low ? [low, high] : [low, low + (Math.abs(low) || 1)];

function strideOf(low: number, high: number, wanted: number): number {
    const rough = (high - low) / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    const lead = rough / power;
    if (lead < 1.5) return power;
    if (lead < 3) return power * 2;
    return power * (lead < 7 ? 5 : 10);
}

function multiples(low: number, high: number, stride: number): number[] {
    const ticks: number[] = [];
    for (let i = Math.ceil(low / stride - 1e-9); i <= Math.floor(high / stride + 1e-9); i++) ticks.push(i * stride + 0);
    return ticks;
}

/** The next number that is 1, 2 or 5 times a power of ten. */
function round(value: number, direction: (value: number) => number): number {
    const power = 10 ** Math.floor(Math.log10(value));
    const lead = value / power;
    if (direction === Math.ceil) return power * ([1, 2, 5].find((step) => lead <= step) ?? 10);
    return power * ([5, 2].find((step) => lead >= step) ?? 1);
}
