import type { Drawing, Target } from "../model";

// The distance in pixels within which the pointer selects a point.
const NEAR = 60;

/** Selects a point of a drawing by pointer or by keys: marks it, shows its tooltip and has it read out. */
export class Cursor {
    private drawing: Drawing | null = null;
    private row = 0;
    private column = -1;
    private readonly ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");

    /** @param plot contains the drawing and has the focus; @param tip is the tooltip; @param live is read out. */
    constructor(
        private readonly plot: HTMLElement,
        private readonly tip: HTMLElement,
        private readonly live: HTMLElement,
    ) {
        this.ring.setAttribute("r", "7");
        this.ring.setAttribute("class", "ring");
        plot.addEventListener("keydown", (event) => this.key(event));
        plot.addEventListener("pointermove", (event) => this.point(event));
        plot.addEventListener("pointerdown", (event) => this.point(event));
        plot.addEventListener("pointerleave", () => this.hide());
        plot.addEventListener("blur", () => this.hide());
    }

    /** Takes a new drawing. A selected point stays selected if the drawing has such a point. */
    show(drawing: Drawing): void {
        this.drawing = drawing;
        const chosen = this.column >= 0 && !this.tip.hidden && drawing.targets[this.row]?.[this.column];
        if (chosen) this.choose(this.row, this.column);
        else this.hide();
    }

    private hide(): void {
        this.tip.hidden = true;
        this.ring.remove();
    }

    private key(event: KeyboardEvent): void {
        const rows = this.drawing?.targets ?? [];
        if (rows.length === 0 || event.ctrlKey || event.altKey || event.metaKey) return;
        const row = rows[this.row] ?? rows[0]!;
        const first = this.column < 0 || this.tip.hidden;
        const step = event.shiftKey ? 10 : 1;
        switch (event.key) {
            case "ArrowRight":
                this.choose(this.row, first ? Math.max(0, this.column) : Math.min(this.column + step, row.length - 1));
                break;
            case "ArrowLeft":
                this.choose(this.row, first ? Math.max(0, this.column) : Math.max(this.column - step, 0));
                break;
            case "ArrowDown":
                this.across(first ? this.row : this.row + 1);
                break;
            case "ArrowUp":
                this.across(first ? this.row : this.row - 1);
                break;
            case "Home":
                this.choose(this.row, 0);
                break;
            case "End":
                this.choose(this.row, row.length - 1);
                break;
            case "Escape":
                this.hide();
                break;
            default:
                return;
        }
        event.preventDefault();
    }

    /** Selects the horizontally nearest point of another row. */
    private across(to: number): void {
        const rows = this.drawing!.targets;
        const row = Math.max(0, Math.min(to, rows.length - 1));
        const x = rows[this.row]?.[Math.max(0, this.column)]?.x ?? 0;
        this.choose(
            row,
            nearest(rows[row]!, (target) => Math.abs(target.x - x)),
        );
    }

    private point(event: PointerEvent): void {
        if (!this.drawing) return;
        const frame = this.drawing.svg.getBoundingClientRect();
        const box = this.drawing.svg.viewBox.baseVal;
        const scale = box.width / frame.width;
        const x = (event.clientX - frame.left) * scale;
        const y = (event.clientY - frame.top) * scale + box.y;
        let best = NEAR ** 2;
        let found: [number, number] | null = null;
        this.drawing.targets.forEach((row, i) =>
            row.forEach((target, j) => {
                const distance = (target.x - x) ** 2 + (target.y - y) ** 2;
                if (distance < best) {
                    best = distance;
                    found = [i, j];
                }
            }),
        );
        if (found) this.choose(...(found as [number, number]), false);
        else this.hide();
    }

    private choose(row: number, column: number, aloud = true): void {
        const rows = this.drawing!.targets;
        this.row = Math.max(0, Math.min(row, rows.length - 1));
        this.column = Math.max(0, Math.min(column, rows[this.row]!.length - 1));
        const target = rows[this.row]![this.column]!;
        this.mark(target);
        if (aloud) this.live.textContent = `${target.name}: ${target.value}`;
    }

    private mark(target: Target): void {
        const svg = this.drawing!.svg;
        const box = svg.viewBox.baseVal;
        const scale = svg.getBoundingClientRect().width / box.width;
        this.ring.setAttribute("cx", String(target.x));
        this.ring.setAttribute("cy", String(target.y));
        svg.append(this.ring);
        this.tip.replaceChildren(
            Object.assign(document.createElement("strong"), { textContent: target.name }),
            target.value,
        );
        this.tip.hidden = false;
        const room = this.plot.clientWidth - this.tip.offsetWidth;
        const x = target.x * scale;
        const y = (target.y - box.y) * scale;
        this.tip.style.left = `${Math.max(0, Math.min(x - this.tip.offsetWidth / 2, room))}px`;
        this.tip.style.top = `${y - this.tip.offsetHeight - 14 > 0 ? y - this.tip.offsetHeight - 14 : y + 14}px`;
    }
}

function nearest(row: Target[], distance: (target: Target) => number): number {
    let best = 0;
    row.forEach((target, i) => {
        if (distance(target) < distance(row[best]!)) best = i;
    });
    return best;
}
