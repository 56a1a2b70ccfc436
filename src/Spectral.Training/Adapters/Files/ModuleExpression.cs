using System.Diagnostics;
using System.Text.RegularExpressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// A regular expression of a file, matched against module names. Most run in linear time; what needs backtracking
/// (look-around, back-references) has two seconds in all, as it may take exponential time, and is asked about every
/// module.
/// </summary>
internal sealed class ModuleExpression
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly Regex _expression;
    private readonly string _shown;
    private long _spent;

    /// <param name="pattern">The expression.</param>
    /// <param name="shown">How the file writes it.</param>
    /// <param name="where">File and key, for messages.</param>
    /// <param name="mayBacktrack">False where a file can hold any number of expressions.</param>
    /// <exception cref="InputException">It is no regular expression, or one that would have to backtrack.</exception>
    public ModuleExpression(string pattern, string shown, string where, bool mayBacktrack)
    {
        const int Longest = 10_000;
        _shown = shown;
        pattern = PythonExpression.Translate(pattern);
        if (pattern.Length > Longest)
            throw new InputException($"{where} is {InputText.Quote(shown)}, expected at most {Longest} characters");
        try
        {
            try
            {
                _expression = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            }
            catch (NotSupportedException) when (mayBacktrack)
            {
                _expression = new Regex(pattern, RegexOptions.CultureInvariant, Limit);
            }
        }
        catch (NotSupportedException e)
        {
            throw new InputException(
                $"{where} is {InputText.Quote(shown)}, expected a regular expression without look-around, "
                    + "back-references and large repetitions",
                e
            );
        }
        catch (Exception e) when (e is ArgumentException or InsufficientExecutionStackException)
        {
            throw new InputException(
                $"{where} is {InputText.Quote(shown)}, expected a regular expression: {InputText.Quote(e.Message)}",
                e
            );
        }
    }

    /// <summary>Matches a module's name.</summary>
    /// <exception cref="InputException">Time ran out.</exception>
    public Match Match(string module)
    {
        if (_expression.MatchTimeout == Regex.InfiniteMatchTimeout)
            return _expression.Match(module);
        long start = Stopwatch.GetTimestamp();
        try
        {
            Match match = _expression.Match(module);
            _spent += Stopwatch.GetTimestamp() - start;
            return _spent <= Limit.TotalSeconds * Stopwatch.Frequency ? match : throw new RegexMatchTimeoutException();
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException(
                $"the expression {InputText.Quote(_shown)} takes more than {Limit.TotalSeconds} s, the "
                    + $"last of them on {InputText.Quote(module)}",
                e
            );
        }
    }
}
