using System.Runtime.CompilerServices;

namespace Spectral.Training.Chat.Values;

/// <summary>
/// What one rendering may use. A template is code from a model's folder, so that time, memory and depth are bounded.
/// </summary>
internal sealed class Budget
{
    /// <summary>The largest number of steps: evaluated expressions, visited items, and characters in parts.</summary>
    public const long MaximumSteps = 20_000_000;

    /// <summary>The largest number of characters of one text.</summary>
    public const int MaximumText = 1 << 24;

    /// <summary>The largest number of items of one list.</summary>
    public const int MaximumItems = 1 << 20;

    /// <summary>The largest depth of macro calls, recursive loops and nested values.</summary>
    public const int MaximumDepth = 200;

    // Copying a text of so many characters costs about as much as one step of the interpreter.
    private const int CharactersPerStep = 64;

    private long _steps;
    private int _depth;

    /// <summary>Counts one step.</summary>
    /// <exception cref="TemplateError">There were too many.</exception>
    public void Step() => Steps(1);

    /// <summary>Counts several steps, such as the items of a list that is copied or searched.</summary>
    /// <exception cref="TemplateError">There were too many.</exception>
    public void Steps(long count)
    {
        if ((_steps += count) > MaximumSteps)
        {
            throw TemplateError.Limit(
                $"more than {MaximumSteps} steps, expected a template that ends; does it loop for ever?"
            );
        }
    }

    /// <summary>Counts a text that is about to be made, before memory is allocated for it.</summary>
    /// <exception cref="TemplateError">The text is too long.</exception>
    public void Text(long length)
    {
        if (length > MaximumText)
            throw TemplateError.Limit($"a text of {length} characters, expected at most {MaximumText}");
        Steps(1 + length / CharactersPerStep);
    }

    /// <summary>Counts a list that is about to be made, before memory is allocated for it.</summary>
    /// <exception cref="TemplateError">The list is too long.</exception>
    public void Items(long count)
    {
        if (count > MaximumItems)
            throw TemplateError.Limit($"a list of {count} items, expected at most {MaximumItems}");
        Steps(1 + count);
    }

    /// <summary>Enters a macro, a recursive loop or a nested value, which <see cref="Leave"/> leaves again.</summary>
    /// <exception cref="TemplateError">They are nested too deeply.</exception>
    public void Enter()
    {
        if (_depth >= MaximumDepth)
            throw TooDeep();
        RequireStack();
        _depth++;
    }

    /// <summary>Leaves what was entered last.</summary>
    public void Leave() => _depth--;

    /// <summary>Checks that the thread's stack has room for one more level of an expression.</summary>
    /// <exception cref="TemplateError">It has none.</exception>
    public static void RequireStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw TooDeep();
    }

    private static TemplateError TooDeep() =>
        TemplateError.Limit(
            $"macros, loops or values nested too deeply, expected at most {MaximumDepth} levels; does a macro call "
                + "itself for ever?"
        );
}
