namespace Spectral.Kernels;

/// <summary>
/// Finds PTX that the environment puts in place of embedded modules, so that a module can be edited or compiled anew
/// without building the library.
/// </summary>
internal static class ReplacedPtx
{
    /// <summary>Environment variable with a folder that holds TARGET/MODULE.ptx for the modules to replace.</summary>
    private const string Variable = "SPECTRAL_PTX_PATH";

    /// <summary>Reads the module's text, or returns null if it is not replaced.</summary>
    /// <exception cref="DirectoryNotFoundException">The variable names a folder that does not exist.</exception>
    public static string? Find(string target, string module)
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } folder)
            return null;
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"{Variable} is '{folder}', expected an existing folder");
        string file = Path.Combine(folder, target, $"{module}.ptx");
        return File.Exists(file) ? File.ReadAllText(file) : null;
    }
}
