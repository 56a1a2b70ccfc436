using System.Diagnostics;
using Spectre.Console;

namespace Spectral.Cli.Hosting;

/// <summary>
/// Prints text for people: on stdout, or on stderr if stdout is for the JSON of --json. Progress is a bar on a
/// terminal, and plain lines elsewhere.
/// </summary>
internal sealed class Terminal(bool json)
{
    // In a narrower column, text is easier to read when the terminal wraps it.
    private const int LeastRoom = 24;

    private IAnsiConsole? _live;

    /// <summary>Whether nothing is printed, as on all ranks but the first.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Whether a launcher reads what is printed, through what looks like a terminal and is none.</summary>
    public bool IsOfLauncher { get; set; }

    private TextWriter Writer =>
        (IsSilent, json) switch
        {
            (true, _) => TextWriter.Null,
            (_, true) => Console.Error,
            _ => Console.Out,
        };

    private bool IsTerminal =>
        !IsSilent && !IsOfLauncher && (json ? !Console.IsErrorRedirected : !Console.IsOutputRedirected);

    public void Line(string text)
    {
        // While a bar is shown, the console has to print the line above it.
        if (_live is { } console)
            console.WriteLine(text);
        else
            Writer.WriteLine(text);
    }

    /// <summary>Writes a part of a line at once.</summary>
    public void Write(string text)
    {
        Writer.Write(text);
        Writer.Flush();
    }

    public void Warn(string text)
    {
        if (_live is { } console)
            console.WriteLine("warning: " + text);
        else if (!IsSilent)
            Console.Error.WriteLine("warning: " + text);
    }

    /// <summary>Prints names and values in two aligned columns.</summary>
    public void Table(params ReadOnlySpan<(string Name, string Value)> rows)
    {
        int width = 0;
        foreach ((string name, string _) in rows)
            width = Math.Max(width, name.Length);
        foreach ((string name, string value) in rows)
            Hanging($"{name.PadRight(width)}  ", value);
    }

    /// <summary>
    /// Prints a table with columns as wide as their longest field: a name, then numbers, aligned on the right, then
    /// text.
    /// </summary>
    /// <param name="heads">The column heads.</param>
    /// <param name="rows">As many fields each as there are heads.</param>
    /// <param name="textFrom">The index of the first column of text after the numbers.</param>
    public void Table(IReadOnlyList<string> heads, IReadOnlyList<string[]> rows, int textFrom = int.MaxValue)
    {
        int[] widths =
        [
            .. heads.Select((head, column) => rows.Select(row => row[column].Length).Append(head.Length).Max()),
        ];
        int last = heads.Count - 1;
        foreach (IReadOnlyList<string> row in rows.Prepend(heads))
        {
            string before = string.Concat(row.Take(last).Select((field, column) => Padded(field, column) + "  "));
            if (last >= textFrom)
                Hanging(before, row[last]);
            else
                Line(before + Padded(row[last], last));
        }

        string Padded(string field, int column) =>
            column == 0 || column >= textFrom ? field.PadRight(widths[column]) : field.PadLeft(widths[column]);
    }

    /// <summary>Runs <paramref name="work"/> and shows its progress.</summary>
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

    /// <summary>
    /// Prints text after a head. On a terminal, text that does not fit continues on lines that are indented to its
    /// beginning.
    /// </summary>
    private void Hanging(string head, string text)
    {
        int room = IsTerminal ? Console.WindowWidth - head.Length - 1 : 0;
        if (room < LeastRoom)
        {
            Line((head + text).TrimEnd());
            return;
        }
        foreach (string line in WrappedText.Lines(text, room))
        {
            Line((head + line).TrimEnd());
            head = new string(' ', head.Length);
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

    /// <summary>
    /// Prints a line for every notable report, and otherwise one every few seconds, so that a log stays short.
    /// </summary>
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
