import type { Figure } from "./figure";
import type { Chart } from "./model";

interface Progress {
    status: string;
    chart: Chart;
}

const PAUSE = 1000;

/** Asks the command that serves the page for the progress of its run, and shows it until the command has ended. */
export function follow(figure: Figure, status: Element): void {
    const ask = async (): Promise<void> => {
        try {
            const answer = await fetch("progress", { cache: "no-store" });
            if (!answer.ok) throw new Error(answer.statusText);
            const progress = (await answer.json()) as Progress;
            if (status.textContent !== progress.status) {
                status.textContent = progress.status;
                figure.update(progress.chart);
            }
            setTimeout(ask, PAUSE);
        } catch {
            status.textContent += " The command has ended, or was stopped; report.html in its folder has the result.";
        }
    };
    setTimeout(ask, PAUSE);
}
