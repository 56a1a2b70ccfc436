using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Training.Planning;

namespace Spectral.Cli.Memory;

/// <summary>Shows a plan of memory as a table.</summary>
internal static class MemoryTable
{
    /// <summary>Returns the parts of a plan, each with its name in JSON and in the table.</summary>
    public static IEnumerable<(string Key, string Name, long Bytes)> Parts(MemoryPlan plan) =>
        [
            ("weights", "weights", plan.Weights),
            ("adapter", "adapter", plan.Adapter),
            ("gradients", "gradients", plan.Gradients),
            ("optimizer", "optimizer state", plan.Optimizer),
            ("activations", "activations", plan.Activations),
            ("loss_head", "loss head", plan.LossHead),
            ("workspace", "workspace", plan.Workspace),
        ];

    /// <summary>Prints the parts, their sum, and what other options would need.</summary>
    /// <param name="terminal">Where to print.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="savings">What other options would need.</param>
    /// <param name="available">The memory that the device may hold, in bytes.</param>
    public static void Print(Terminal terminal, MemoryPlan plan, IReadOnlyList<MemorySaving> savings, long available)
    {
        List<string[]> rows =
        [
            .. Parts(plan).Select(part => Row(part.Name, part.Bytes, plan.Step)),
            Row("a step", plan.Step, plan.Step),
            Row("the start", plan.Start, plan.Step),
            .. plan.Evaluation > 0 ? new[] { Row("an evaluation", plan.Evaluation, plan.Step) } : [],
        ];
        terminal.Table(["", "MiB", "of a step"], rows);
        terminal.Line(
            $"peak {MemorySize.Text(plan.Peak)} of {MemorySize.Text(available)}: "
                + (plan.Peak <= available ? "it fits" : "it does not fit")
        );
        if (savings.Count > 0)
        {
            terminal.Line("");
            terminal.Table(
                ["with", "peak, MiB", "saves, MiB"],
                [
                    .. savings.Select(saving =>
                        new[] { saving.Option, Mebibytes(saving.Peak), Mebibytes(plan.Peak - saving.Peak) }
                    ),
                ]
            );
        }
    }

    private static string[] Row(string name, long bytes, long whole) =>
        [
            name,
            Mebibytes(bytes),
            (100.0 * bytes / Math.Max(1, whole)).ToString("0.0", CultureInfo.InvariantCulture) + " %",
        ];

    private static string Mebibytes(long bytes) =>
        (bytes / (double)(1 << 20)).ToString("#,0.00", CultureInfo.InvariantCulture);
}
