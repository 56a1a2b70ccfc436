using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// A key of rank_pattern or alpha_pattern: an expression for a module's name, or for the end of it after a dot. Most
/// are plain names, whose dots match any character as in an expression. These are compared directly instead of
/// compiled, because a file may have one for each module.
/// </summary>
internal sealed class NameEnding
{
    private const char Any = '.';
    private const char Dot = '\uFFFF';

    private readonly string _plain;
    private readonly ModuleExpression? _expression;

    /// <param name="key">The key of a pattern in the config.</param>
    /// <param name="where">The pattern that it is a key of, for messages.</param>
    /// <exception cref="InputException">It is not a regular expression, or requires backtracking.</exception>
    public NameEnding(string key, string where)
    {
        _plain = key.Replace(@"\.", $"{Dot}", StringComparison.Ordinal);
        if (key.Length == 0 || _plain.AsSpan().ContainsAnyExcept(PlainCharacters))
        {
            _expression = new ModuleExpression(
                $@"\A(?:.*\.)?(?:{key})\z",
                key,
                $"a key of {where}",
                mayBacktrack: false
            );
        }
    }

    private static System.Buffers.SearchValues<char> PlainCharacters { get; } =
        System.Buffers.SearchValues.Create(
            $"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_{Any}{Dot}"
        );

    /// <summary>Returns whether the key matches the name, or the end of it after a dot.</summary>
    public bool Matches(string module)
    {
        if (_expression is not null)
            return _expression.Match(module).Success;
        int start = module.Length - _plain.Length;
        if (start < 0 || (start > 0 && module[start - 1] != '.'))
            return false;
        for (int i = 0; i < _plain.Length; i++)
        {
            char found = module[start + i];
            if (!(_plain[i] == Any ? found != '\n' : found == (_plain[i] == Dot ? '.' : _plain[i])))
                return false;
        }
        return true;
    }
}
