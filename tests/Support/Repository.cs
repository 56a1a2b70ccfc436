namespace Spectral.Tests.Support;

/// <summary>The repository that the test programs are built in.</summary>
internal static class Repository
{
    /// <summary>The path of its folder. Where there is none, the test that asks is ignored.</summary>
    public static string Root
    {
        get
        {
            string? folder = AppContext.BaseDirectory;
            while (folder is not null && !File.Exists(Path.Combine(folder, "Kernels.sln")))
                folder = Path.GetDirectoryName(folder);
            if (folder is null)
                Assert.Ignore("no sources here: this test program runs apart from its repository");
            return folder!;
        }
    }
}
