using System.Diagnostics;
using Spectral.Training.Adapters.Expressions;
using Spectre.Console;

namespace Spectral.Cli.Hosting;

/// <summary>
/// Where people read: stdout, or stderr when stdout belongs to --json. On a terminal work shows as a bar, else as plain
/// lines.
/// </summary>
internal sealed class Terminal(bool json)
{
    private IAnsiConsole? _live;

    private TextWriter Writer => json ? Console.Error : Console.Out;

    private bool IsTerminal => json ? !Console.IsErrorRedirected : !Console.IsOutputRedirected;

    public void Line(string text)
    {
        // A bar on the screen has to be lifted over the line.
        if (_live is { } console)
            console.WriteLine(text);
        else
            Writer.WriteLine(text);
    }

    public void Warn(string text)
    {
        if (_live is { } console)
            console.WriteLine("warning: " + text);
        else
            Console.Error.WriteLine("warning: " + text);
    }

    /// <summary>Two aligned columns.</summary>
    public void Table(params ReadOnlySpan<(string Name, string Value)> rows)
    {
        int width = 0;
        foreach ((string name, string _) in rows)
            width = Math.Max(width, name.Length);
        foreach ((string name, string value) in rows)
            Line($"{name.PadRight(width)}  {value}");
    }

    /// <summary>
    /// Columns under heads, as wide as their longest field: a name, then numbers aligned on the right, then text from a
    /// column on.
    /// </summary>
    public void Table(IReadOnlyList<string> heads, IReadOnlyList<string[]> rows, int textFrom = int.MaxValue)
    {
        int[] widths =
        [
            .. heads.Select((head, column) => rows.Select(row => row[column].Length).Append(head.Length).Max()),
        ];
        foreach (IReadOnlyList<string> row in rows.Prepend(heads))
        {
            Line(
                string.Join(
                        "  ",
                        row.Select(
                            (field, column) =>
                                column == 0 || column >= textFrom
                                    ? field.PadRight(widths[column])
                                    : field.PadLeft(widths[column])
                        )
                    )
                    .TrimEnd()
            );
        }
    }

    /// <summary>Runs <paramref name="work"/> and shows how far it is.</summary>
    public T Track<T>(string title, long total, Func<WorkProgress, T> work)
    {
        if (!IsTerminal)
            return work(new PlainProgress(this, title, total));
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Writer) });
        _live = console;
        try
        {
            return console
                .Progress()
                .Columns(
                    new TaskDescriptionColumn { Alignment = Justify.Left },
                    new ProgressBarColumn(),
                    new PercentageColumn(),
                    new RemainingTimeColumn()
                )
                .Start(progress =>
                    work(new BarProgress(progress.AddTask(Markup.Escape(title), maxValue: Math.Max(total, 1)), title))
                );
        }
        finally
        {
            _live = null;
        }
    }

    private sealed class BarProgress(ProgressTask task, string title) : WorkProgress
    {
        public override void Report(long done, string detail, bool notable)
        {
            task.Description = Markup.Escape(detail.Length == 0 ? title : $"{title}  {detail}");
            task.Value = done;
        }
    }

    /// <summary>A line for what is notable; else one every few seconds, so that a log stays short.</summary>
    private sealed class PlainProgress(Terminal terminal, string title, long total) : WorkProgress
    {
        private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(5);
        private long _lastLine = Stopwatch.GetTimestamp();

        public override void Report(long done, string detail, bool notable)
        {
            if (!notable && Stopwatch.GetElapsedTime(_lastLine) < Quiet)
                return;
            _lastLine = Stopwatch.GetTimestamp();
            terminal.Line($"{title} {done}/{total}{(detail.Length == 0 ? "" : "  " + detail)}");
        }
    }
}

/// <summary>Told by working code how far it is.</summary>
internal abstract class WorkProgress
{
    /// <param name="done">Units done so far.</param>
    /// <param name="detail">What to show besides.</param>
    /// <param name="notable">Worth a line of its own in a log.</param>
    public abstract void Report(long done, string detail = "", bool notable = false);
}
