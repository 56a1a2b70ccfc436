using System.Globalization;
using Spectral.Training.IO;

namespace Spectral.Training.Settings;

/// <summary>Checks the settings that a program gives for a method.</summary>
internal static class GivenSettings
{
    /// <summary>Checks that a method has all settings that are given, and that their values are within range.</summary>
    /// <param name="method">The method.</param>
    /// <param name="given">The values of settings that are numbers or choices.</param>
    /// <param name="others">The names of the method's settings of another kind, for messages.</param>
    /// <exception cref="InputException">One is not the method's, or out of range.</exception>
    public static void Require(
        MethodDescription method,
        IReadOnlyDictionary<string, double> given,
        params IReadOnlyList<string> others
    )
    {
        foreach ((string name, double value) in given)
        {
            Setting setting =
                method.Settings.FirstOrDefault(setting => setting.Name == name) ?? throw Unknown(method, name, others);
            if (!setting.Allows(value))
            {
                throw new InputException(
                    string.Create(CultureInfo.InvariantCulture, $"setting {name}={value}: expected {setting.Expected}")
                );
            }
        }
    }

    /// <summary>Returns the refusal of a setting that a method does not have.</summary>
    public static InputException Unknown(MethodDescription method, string name, IReadOnlyList<string> others)
    {
        string[] known = [.. method.Settings.Select(setting => setting.Name), .. others];
        return new InputException(
            known.Length == 0
                ? $"setting {name}: {method.Name} has no settings of its own"
                : $"setting {name}: expected one of the settings of {method.Name}: {string.Join(", ", known)}"
        );
    }
}
