using System.Diagnostics;
using System.Text.RegularExpressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// A regular expression from a file that is matched against module names. Most run in linear time. One that needs
/// backtracking (look-around, back-references) may take exponential time, so that all its matches together are limited
/// to two seconds.
/// </summary>
internal sealed class ModuleExpression
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly Regex _expression;
    private readonly string _shown;
    private long _spent;

    /// <param name="pattern">The regular expression.</param>
    /// <param name="shown">The expression as the file writes it, for messages.</param>
    /// <param name="where">The file and the key, for messages.</param>
    /// <param name="mayBacktrack">
    /// Whether backtracking is allowed; false where a file can hold any number of expressions.
    /// </param>
    /// <exception cref="InputException">
    /// It is not a regular expression, or requires backtracking although that is not allowed.
    /// </exception>
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
    /// <exception cref="InputException">The time limit is exceeded.</exception>
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
