namespace Spectral.Cli.Hosting;

/// <summary>Takes reports of progress from code that works.</summary>
internal abstract class WorkProgress
{
    /// <summary>Shows how much is done.</summary>
    /// <param name="done">Units of work done so far.</param>
    /// <param name="detail">Text to show with it.</param>
    /// <param name="notable">Whether a log shall have a line for it.</param>
    public abstract void Report(long done, string detail = "", bool notable = false);
}
