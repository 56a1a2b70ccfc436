namespace Spectral.Training.Chat.Values;

/// <summary>The arguments of a call.</summary>
/// <param name="Positional">Those without a name.</param>
/// <param name="Named">Those with one.</param>
internal sealed record Arguments(object?[] Positional, KeyValuePair<string, object?>[] Named)
{
    /// <summary>Stands for a parameter that is not given.</summary>
    public static readonly object Absent = new();

    /// <summary>The arguments of a call that has none.</summary>
    public static readonly Arguments None = new([], []);

    /// <summary>Creates positional arguments, without names.</summary>
    public static Arguments Of(params object?[] values) => new(values, []);

    /// <summary>Assigns the arguments to parameters, as Python does.</summary>
    /// <param name="function">The function's name, for messages.</param>
    /// <param name="required">The number of parameters, from the first, that must be given.</param>
    /// <param name="parameters">The names of the parameters in order.</param>
    /// <returns>A value for each parameter, <see cref="Absent"/> where none is given.</returns>
    /// <exception cref="TemplateError">The arguments do not fit.</exception>
    public object?[] Bind(string function, int required, params ReadOnlySpan<string> parameters)
    {
        if (Positional.Length > parameters.Length)
        {
            throw TemplateError.Type(
                $"{function}() takes at most {parameters.Length} argument{(parameters.Length == 1 ? "" : "s")} "
                    + $"({Positional.Length} given)"
            );
        }

        object?[] values = new object?[parameters.Length];
        Array.Fill(values, Absent);
        Positional.CopyTo(values, 0);
        foreach ((string name, object? value) in Named)
        {
            int at = parameters.IndexOf(name);
            if (at < 0)
                throw TemplateError.Type($"{function}() got an unexpected keyword argument {PythonText.Quote(name)}");
            if (values[at] != Absent)
                throw TemplateError.Type($"{function}() got multiple values for argument {PythonText.Quote(name)}");
            values[at] = value;
        }
        for (int i = 0; i < required; i++)
        {
            if (values[i] == Absent)
            {
                throw TemplateError.Type(
                    $"{function}() missing required argument {PythonText.Quote(parameters[i])} (pos {i + 1})"
                );
            }
        }
        return values;
    }
}
