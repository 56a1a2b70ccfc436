using System.Runtime.ExceptionServices;

namespace Spectral.Training.Merging;

/// <summary>Parallel loops whose errors arrive as they were thrown.</summary>
internal static class InParallel
{
    /// <summary>Runs a loop and rethrows the first error of its body instead of a collection of errors.</summary>
    public static void Run(Action loop)
    {
        try
        {
            loop();
        }
        catch (AggregateException errors)
        {
            ExceptionDispatchInfo.Throw(errors.Flatten().InnerExceptions[0]);
        }
    }

    /// <summary>Runs an action for each number from 0 on.</summary>
    public static void For(int count, Action<int> action) => Run(() => Parallel.For(0, count, action));
}
